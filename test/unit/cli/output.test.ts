import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Paint } from '../../../cli/output/colours.ts';
import { renderFields } from '../../../cli/output/fields.ts';
import { bytes, commandLine, duration, memory, timeSpan } from '../../../cli/output/format.ts';
import { type Column, renderTable } from '../../../cli/output/table.ts';
import { escapeControls, textWidth, truncate, wrap } from '../../../cli/output/text.ts';

const plain: Paint = (_, text) => text;
interface Item {
  readonly name: string;
  readonly size: number;
}
const columns: readonly Column<Item>[] = [
  { header: 'Name', value: ({ name }) => name, flexible: true },
  { header: 'Size', value: ({ size }) => String(size), right: true },
];
const table = (items: readonly Item[], width?: number): string =>
  renderTable(columns, items, { paint: plain, width });

describe('a table', () => {
  test('has the format of the cmdlets', () => {
    expect(
      table([
        { name: 'HYPVCON', size: 5 },
        { name: 'x', size: 1234 },
      ]),
    ).toBe('Name    Size\n----    ----\nHYPVCON    5\nx       1234\n');
  });

  test('without items shows only the headers', () => {
    expect(table([])).toBe('Name Size\n---- ----\n');
  });

  test('is truncated to the terminal in its flexible columns, and complete in a pipe', () => {
    const items = [{ name: 'a-very-long-name-indeed', size: 123_456 }];
    expect(table(items, 18).split('\n')[2]).toBe('a-very-lon… 123456');
    expect(table(items)).toContain('a-very-long-name-indeed 123456');
  });

  test('wide characters take two columns', () => {
    expect(
      table([
        { name: '容器', size: 1 },
        { name: 'abcd', size: 2 },
      ]),
    ).toContain('容器    1\nabcd    2');
  });

  test('no line is wider than the terminal, and no control character is written, whatever the text is', () => {
    const items = fc.array(
      fc.record({ name: fc.string({ unit: 'binary', maxLength: 80 }), size: fc.nat() }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(items, fc.integer({ min: 20, max: 100 }), (rows, width) => {
        for (const line of table(rows, width).slice(0, -1).split('\n')) {
          expect(textWidth(line)).toBeLessThanOrEqual(width);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: the test checks that there are no control characters
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        }
      }),
    );
  });
});

test('control sequences from a container are escaped', () => {
  expect(escapeControls('\u001b]0;owned\u0007\r\n\u202Egnp.exe\u009b2J')).toBe(
    '\\x1b]0;owned\\x07\\x0d\\x0a\\u202egnp.exe\\x9b2J',
  );
});

test('fields are aligned, long values are wrapped, and empty fields are omitted', () => {
  const fields = [
    ['Name', 'x'],
    ['Labels', null],
    ['Detail', 'one two three four five six seven'],
  ] as const;
  expect(renderFields(fields, { paint: plain, width: 30 })).toBe(
    'Name   : x\nDetail : one two three four\n         five six seven\n',
  );
});

test('truncate and wrap', () => {
  expect([truncate('abcdef', 4), truncate('abc', 3), truncate('容器abc', 4)]).toEqual(['abc…', 'abc', '容…']);
  expect(wrap('a bb ccc', 4)).toEqual(['a bb', 'ccc']);
});

test.each([
  [timeSpan(0), '00:00:00'],
  [timeSpan(3_725.9), '01:02:05'],
  [timeSpan(2 * 86_400 + 61), '2.00:01:01'],
  [duration(40.4), '40 ms'],
  [duration(1_340), '1.3 s'],
  [duration(125_000), '2 min 5 s'],
  [memory(512), '512 MiB'],
  [memory(1536), '1.5 GiB'],
  [bytes(2048), '2 KiB'],
  [bytes(3 * 1024 * 1024), '3 MiB'],
  [commandLine(['sh', '-c', "echo 'a b'", 'x=1']), "sh -c 'echo '\\''a b'\\''' x=1"],
])('%s', (actual, expected) => {
  expect(actual).toBe(expected);
});

test.each([
  ['한국', 4],
  ['é', 1],
  ['e\u0301', 1],
  ['👨‍👩‍👧', 2],
  ['🇩🇪', 2],
])('%s takes %i columns', (text, columns) => {
  expect(textWidth(text)).toBe(columns);
});
