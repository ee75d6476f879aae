import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import type { GuestMain } from '../../../agent/runtimes/linux/container/guest-main.ts';
import { MainLog } from '../../../agent/runtimes/linux/container/main-log.ts';
import { BEGIN_OF_LOG, readOutput } from '../../../agent/runtimes/linux/container/read-log.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-main-log-'));
  path = join(folder, 'main.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A scripted main process. */
const speaker = () => {
  const exit = Promise.withResolvers<void>();
  let say: (stream: 'stdout', data: Buffer) => void = () => undefined;
  let consumed = 0;
  const main = {
    process: {
      exited: exit.promise,
      onOutput: (handler: typeof say) => {
        say = handler;
      },
    },
    wrote: () => undefined,
    consumed: (bytes: number) => {
      consumed += bytes;
    },
  } as unknown as GuestMain;
  return {
    main,
    exit,
    say: (text: string): void => say('stdout', Buffer.from(text)),
    consumed: () => consumed,
  };
};

describe('the log of a main process in a VM', () => {
  test('is read without loss across a rotation', async () => {
    const log = new MainLog(path, systemClock);
    const { main, exit, say } = speaker();
    log.follow(main);
    const wanted: string[] = [];
    let read = '';
    let cursor = BEGIN_OF_LOG;
    const follow = async (): Promise<boolean> => {
      const part = await readOutput(path, cursor, 64 * 1024);
      expect(part.truncated).toBe(false);
      cursor = part.cursor;
      read += part.pieces.map(({ bytes }) => bytes.toString()).join('');
      return part.pieces.length > 0;
    };
    for (let round = 0; round < 300; round += 1) {
      const lines = `${`${round} ${'x'.repeat(90)}\n`.repeat(300)}`;
      wanted.push(lines);
      say(lines);
      if (round % 3 === 0) await follow();
    }
    exit.resolve();
    await log.ended;
    while (await follow());
    expect(read.length).toBe(wanted.join('').length);
    expect(read).toBe(wanted.join(''));
  });

  test('an unfinished line is logged after a pause, and its rest when it arrives', async () => {
    const log = new MainLog(path, systemClock);
    const { main, exit, say } = speaker();
    log.follow(main);
    say('name? ');
    while (!existsSync(path) || readFileSync(path, 'utf8') === '') await sleep(5);
    expect(readFileSync(path, 'utf8')).toMatch(/ stdout P name\? \n$/);
    say('ann\n');
    exit.resolve();
    await log.ended;
    expect(readFileSync(path, 'utf8')).toMatch(/ stdout F ann\n$/);
  });

  test('that cannot be written blocks neither the process nor its exit record', async () => {
    mkdirSync(path);
    const log = new MainLog(path, systemClock);
    const { main, exit, say, consumed } = speaker();
    log.follow(main);
    say('lost\n');
    exit.resolve();
    await log.ended;
    expect(consumed()).toBe(5);
  });
});
