import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkPhrases } from '../../../scripts/lint/phrases/check-phrases.ts';
import { findPhrases } from '../../../scripts/lint/phrases/find-phrases.ts';
import { PhraseTableError, readPhrases } from '../../../scripts/lint/phrases/phrase-table.ts';

const STYLE = `# Language

## Phrases that the check refuses

| Phrase | Write instead |
|---|---|
| \`afresh\` | again |
| \`is bidden\`, \`are bidden\` | receives |
| \`'s gait\` | no faster than |
| \`no odds.\` | is not an error |
`;

describe('the table of phrases', () => {
  test('contains each phrase with its replacement', () => {
    const rows = readPhrases(STYLE).map(({ text, instead }) => [text, instead]);
    expect(rows).toEqual([
      ['afresh', 'again'],
      ['is bidden', 'receives'],
      ['are bidden', 'receives'],
      ["'s gait", 'no faster than'],
      ['no odds.', 'is not an error'],
    ]);
  });

  test.each([
    ['has no heading', '# Language\n'],
    ['has no table', '## Phrases that the check refuses\n\nNone.\n'],
    ['has a row without a phrase', STYLE.replace('`afresh`', 'afresh')],
  ])('is refused when it %s', (_, style) => {
    expect(() => readPhrases(style)).toThrow(PhraseTableError);
  });
});

describe('findPhrases', () => {
  const find = (text: string) =>
    findPhrases(text, readPhrases(STYLE)).map(({ line, phrase }) => [line, phrase]);

  test.each([
    ['in a sentence', 'It starts afresh.', [[1, 'afresh']]],
    ['in another case', 'Afresh it starts.', [[1, 'afresh']]],
    ['on its line', 'One.\nTwo afresh.\n', [[2, 'afresh']]],
    ['over a line break in a comment', '/**\n * The host is\n * bidden to stop.\n */', [[2, 'is bidden']]],
    [
      'over a line break in C and shell',
      '// is\n// bidden\n# are\n# bidden',
      [
        [1, 'is bidden'],
        [3, 'are bidden'],
      ],
    ],
    [
      'with either apostrophe',
      "its reader's gait, its reader’s gait",
      [
        [1, "'s gait"],
        [1, "'s gait"],
      ],
    ],
    ['at the end of a sentence', 'What is missing is no odds.', [[1, 'no odds.']]],
    ['in a longer string', "throw new Refused('started afresh')", [[1, 'afresh']]],
  ])('finds a phrase %s', (_, text, found) => {
    expect(find(text)).toEqual(found);
  });

  test.each([
    ['a longer word', 'unafresh afreshly is-bidden'],
    ['a name in quotes', "user: 'afresh', `afresh`"],
    ['an entry of a passwd file', "'afresh:x:65534:65534:afresh:/:/bin/false'"],
    ['words over a blank line', 'It is\n\nbidden'],
    ['a phrase that only begins a sentence', 'It has no odds beyond that.'],
  ])('ignores %s', (_, text) => {
    expect(find(text)).toEqual([]);
  });
});

describe('checkPhrases', () => {
  let root = '';
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bulkhead-phrases-'));
    write('docs/style.md', STYLE);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test('reports the file, line, phrase and replacement', () => {
    write('store/read.ts', '// first\n// read afresh\n');
    expect(checkPhrases(root)).toEqual(['store/read.ts:2: "afresh" is refused; write instead: again']);
  });

  test.each(['README.md', 'agent/guest/init.c', 'agent/guest/init.h', 'a/run.sh', 'scripts/set-up.mjs'])(
    'reads %s',
    (path) => {
      write(path, 'afresh');
      expect(checkPhrases(root)).toHaveLength(1);
    },
  );

  test.each(['node_modules/a/index.ts', 'cdk.out/a.mjs', 'docs/api/openapi.md', 'data.json'])(
    'does not read %s',
    (path) => {
      write(path, 'afresh');
      expect(checkPhrases(root)).toEqual([]);
    },
  );
});
