import { appendFileSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GuestMain } from '../../../agent/runtimes/linux/container/guest-main.ts';
import { MainLog } from '../../../agent/runtimes/linux/container/main-log.ts';
import {
  BEGIN_OF_LOG,
  endOfLog,
  readLog,
  readOutput,
} from '../../../agent/runtimes/linux/container/read-log.ts';

let folder: string;
let path: string;
let clock: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
  path = join(folder, 'main.log');
  clock = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const entry = (text: string, { stream = 'stdout', kind = 'F' } = {}): string => {
  clock += 1;
  return `${new Date(clock).toISOString()} ${stream} ${kind} ${text}\n`;
};
const texts = async (query: Parameters<typeof readLog>[1]): Promise<string[]> =>
  (await readLog(path, query)).items.map(({ text }) => text);
/** Reads all pages. */
const pages = async (cursor?: string): Promise<{ texts: string[]; truncated: boolean; cursor: string }> => {
  const read: string[] = [];
  let truncated = false;
  for (let at = cursor; ; ) {
    const page = await readLog(path, at === undefined ? {} : { cursor: at });
    read.push(...page.items.map(({ text }) => text));
    truncated ||= page.truncated;
    at = page.nextCursor;
    if (!page.more) return { texts: read, truncated, cursor: at };
  }
};

describe('a log', () => {
  test('in two files is read completely and by its newest lines', async () => {
    const lines = Array.from({ length: 9_000 }, (_, index) => `${index} ${'x'.repeat(index % 97)}`);
    writeFileSync(
      `${path}.1`,
      lines
        .slice(0, 5_000)
        .map((line) => entry(line))
        .join(''),
    );
    writeFileSync(
      path,
      lines
        .slice(5_000)
        .map((line) => entry(line))
        .join(''),
    );
    expect((await pages()).texts).toEqual(lines);
    for (const tail of [0, 1, 10, 3_999, 4_000, 4_001, 8_999, 9_000, 10_000]) {
      const page = await readLog(path, { tail });
      const wanted = tail === 0 ? [] : lines.slice(-tail);
      expect(page.items.map(({ text }) => text)).toEqual(wanted.slice(0, page.items.length));
      expect(page.more).toBe(page.items.length < wanted.length);
      expect(page.items.length).toBe(tail === 0 ? 0 : Math.max(1, page.items.length));
    }
    expect(await texts({ since: new Date(8_999).toISOString() })).toEqual(lines.slice(-2));
  });

  test('with 4,000 lines of the same time across a rotation is paged and followed completely, and by its newest lines', async () => {
    const log = new MainLog(path, { now: () => new Date(0), after: () => () => undefined });
    const lines = Array.from({ length: 4_000 }, (_, index) => `${index} ${'x'.repeat(1_100)}`);
    let say: (source: 'stdout', data: Buffer) => void = () => undefined;
    let written = Promise.withResolvers<void>();
    log.follow({
      process: {
        exited: new Promise(() => undefined),
        onOutput: (handler: typeof say) => {
          say = handler;
        },
      },
      wrote: () => undefined,
      consumed: () => written.resolve(),
    } as unknown as GuestMain);
    const followed: string[] = [];
    let cursor: string | undefined;
    for (let at = 0; at < lines.length; at += 50) {
      written = Promise.withResolvers();
      say('stdout', Buffer.from(`${lines.slice(at, at + 50).join('\n')}\n`));
      await written.promise;
      const part = await pages(cursor);
      cursor = part.cursor;
      followed.push(...part.texts);
      expect(part.truncated).toBe(false);
    }
    log.end();
    await log.ended;
    expect(statSync(`${path}.1`).size).toBeGreaterThan(0);
    expect(followed).toEqual(lines);
    const whole = await pages();
    expect(whole.texts).toEqual(lines);
    const { items } = await readLog(path, { tail: 4_000 });
    expect(new Set(items.map(({ at }) => at)).size).toBe(1);
    expect(await texts({ tail: 3 })).toEqual(lines.slice(-3));
  });

  test('with thousands of empty lines is read by its newest lines', async () => {
    writeFileSync(path, Array.from({ length: 20_000 }, () => entry('')).join('') + entry('last'));
    expect(await texts({ tail: 2 })).toEqual(['', 'last']);
  });

  test('counts the parts of a line of each stream once', async () => {
    writeFileSync(
      path,
      entry('first') + entry('a', { kind: 'P' }) + entry('b', { kind: 'P' }) + entry('c') + entry('last'),
    );
    expect(await texts({ tail: 2 })).toEqual(['a', 'b', 'c', 'last']);
    expect(await texts({ tail: 1 })).toEqual(['last']);
  });

  test('is followed across a rotation without loss or repetition', async () => {
    writeFileSync(path, entry('one') + entry('two'));
    const first = await pages();
    appendFileSync(path, entry('three'));
    renameSync(path, `${path}.1`);
    writeFileSync(path, entry('four'));
    const second = await pages(first.cursor);
    expect([second.texts, second.truncated]).toEqual([['three', 'four'], false]);
    renameSync(path, `${path}.1`);
    writeFileSync(path, entry('five'));
    renameSync(path, `${path}.1`);
    writeFileSync(path, entry('six'));
    expect(await pages(second.cursor)).toMatchObject({ texts: ['five', 'six'], truncated: true });
  });

  test('returns a partial entry only when it is complete, and skips invalid entries', async () => {
    const whole = entry('whole');
    writeFileSync(path, `${entry('before')}rubbish\n${whole.slice(0, -4)}`);
    const first = await pages();
    expect(first.texts).toEqual(['before']);
    appendFileSync(path, whole.slice(-4));
    expect((await pages(first.cursor)).texts).toEqual(['whole']);
  });

  test('that does not exist is empty, including from its end on', async () => {
    expect(await readLog(path, {})).toEqual({
      items: [],
      truncated: false,
      more: false,
      nextCursor: BEGIN_OF_LOG,
    });
    const end = await endOfLog(path);
    writeFileSync(path, entry('later'));
    expect((await pages(end)).texts).toEqual(['later']);
    await expect(readLog(path, { cursor: 'elsewhere' })).rejects.toMatchObject({ code: 'cursor-invalid' });
  });

  test('returns the written bytes with their newlines', async () => {
    writeFileSync(
      path,
      Buffer.concat([
        Buffer.from(entry('old')),
        Buffer.from(entry('ask: ', { kind: 'P' })),
        Buffer.from(entry('it is \u00e4')),
        Buffer.from(entry('oh', { stream: 'stderr' })),
        Buffer.from(entry('\u00ff\u0000', { kind: 'P' }), 'latin1'),
      ]),
    );
    const { nextCursor } = await readLog(path, {});
    expect(await endOfLog(path)).toBe(nextCursor);
    const read = await readOutput(path, BEGIN_OF_LOG, 1_000);
    expect(read.pieces.map(({ stream, bytes }) => [stream, bytes.toString('latin1')])).toEqual([
      ['stdout', Buffer.from('old\nask: it is \u00e4\n').toString('latin1')],
      ['stderr', 'oh\n'],
      ['stdout', '\u00ff\u0000'],
    ]);
    expect(read.cursor).toBe(nextCursor);
    let [cursor, text] = [BEGIN_OF_LOG, ''];
    for (let more = true; more; ) {
      const part = await readOutput(path, cursor, 1);
      more = part.pieces.length > 0;
      text += part.pieces.map(({ bytes }) => bytes.toString('latin1')).join('');
      cursor = part.cursor;
    }
    expect(text).toBe(read.pieces.map(({ bytes }) => bytes.toString('latin1')).join(''));
  });
});
