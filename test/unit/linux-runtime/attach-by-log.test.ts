import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import {
  AttachedByLog,
  PACE_BYTES,
  type PacedProcess,
} from '../../../agent/runtimes/linux/container/attach-by-log.ts';
import { BEGIN_OF_LOG } from '../../../agent/runtimes/linux/container/read-log.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-by-log-'));
  path = join(folder, 'main.log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const log = (text: string, kind = 'F'): void =>
  appendFileSync(path, `${new Date().toISOString()} stdout ${kind} ${text}\n`);

/** A main process that was joined, and what a client has of it. */
const attach = ({ paced = false } = {}) => {
  let paces = 0;
  const exit = Promise.withResolvers<number>();
  let wrote: (stream: 'stdout', data: Buffer) => void = () => undefined;
  const joined = {
    exited: exit.promise,
    onOutput: (handler: typeof wrote) => {
      wrote = handler;
    },
    consumed: () => undefined,
    pace: () => {
      paces += 1;
    },
    end: () => undefined,
  } as unknown as PacedProcess;
  const attached = new AttachedByLog(joined, {
    path,
    cursor: BEGIN_OF_LOG,
    paced,
    logged: exit.promise.catch(() => undefined),
    clock: systemClock,
  });
  let text = '';
  let unread = 0;
  const listen = (): void =>
    attached.onOutput((_stream, data) => {
      text += data.toString();
      unread += data.length;
    });
  return {
    attached,
    exit,
    listen,
    ring: (): void => wrote('stdout', Buffer.from('.')),
    text: (): string => text,
    paces: (): number => paces,
    unread: (): number => unread,
    consume: (): void => {
      const bytes = unread;
      unread = 0;
      attached.consumed(bytes);
    },
  };
};
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(5);
};

describe('a main process shown by its log', () => {
  test('what it wrote before, what it writes, a line that has not ended; then its exit', async () => {
    log('before');
    const one = attach();
    one.listen();
    await until(() => one.text() === 'before\n');
    log('after');
    one.ring();
    await until(() => one.text() === 'before\nafter\n');
    // Heard of before it is in the log.
    one.ring();
    await sleep(10);
    log('name? ', 'P');
    await until(() => one.text().endsWith('name? '));
    log('last words');
    one.exit.resolve(5);
    expect(await one.attached.exited).toBe(5);
    expect(one.text()).toBe('before\nafter\nname? last words\n');
  });

  test('what it wrote just before it was joined, and is not in the log yet', async () => {
    const one = attach();
    one.listen();
    await sleep(10);
    log('name? ', 'P');
    await until(() => one.text() === 'name? ');
    one.attached.end();
  });

  test('a reader that takes its time misses nothing, and is never given more than a window', async () => {
    const line = 'x'.repeat(10_000);
    for (let count = 0; count < 200; count += 1) log(`${count} ${line}`);
    const one = attach();
    one.listen();
    one.exit.resolve(0);
    let over = false;
    void one.attached.exited.then(() => {
      over = true;
    });
    let most = 0;
    while (!over) {
      await sleep(2);
      most = Math.max(most, one.unread());
      one.consume();
    }
    expect(most).toBeLessThan(256 * 1024 + 64 * 1024 + 32 * 1024);
    expect(most).toBeGreaterThan(64 * 1024);
    expect(
      one
        .text()
        .split('\n')
        .map((text) => Number.parseInt(text, 10))
        .slice(0, 200),
    ).toEqual(Array.from({ length: 200 }, (_, count) => count));
  });

  test('a process that is paced may go on as long as its reader is near, and only then', async () => {
    const line = 'x'.repeat(10_000);
    for (let bytes = 0; bytes < PACE_BYTES + 1_000_000; bytes += line.length) log(line);
    const one = attach({ paced: true });
    one.listen();
    await until(() => one.unread() > 256 * 1024);
    await sleep(50);
    expect(one.paces()).toBe(0);
    while (one.paces() === 0) {
      one.consume();
      await sleep(1);
    }
    const read = one.text().length;
    expect(read).toBeGreaterThan(1_000_000);
    expect(read).toBeLessThan(1_000_000 + 512 * 1024);
    one.attached.end();
    const unpaced = attach();
    unpaced.listen();
    unpaced.exit.resolve(0);
    const over = unpaced.attached.exited.then(() => 'over');
    while ((await Promise.race([over, sleep(1)])) !== 'over') unpaced.consume();
    expect(unpaced.paces()).toBe(0);
  });

  test('what the log has no longer is said to be lost', async () => {
    log('one');
    const one = attach();
    one.listen();
    await until(() => one.text() === 'one\n');
    renameSync(path, `${path}.0`);
    await sleep(5);
    log('other');
    one.ring();
    await until(() => one.text().endsWith('other\n'));
    expect(one.text()).toMatch(/^one\n\n\[bulkhead: output was lost here.*\]\nother\n$/);
    one.attached.end();
  });

  test('whose end nobody sees says its last words all the same', async () => {
    const one = attach();
    one.listen();
    one.exit.reject(new Error('the VM is gone'));
    await sleep(10);
    log('last words');
    await expect(one.attached.exited).rejects.toThrow('the VM is gone');
    expect(one.text()).toBe('last words\n');
  });

  test('that nobody is shown any more holds up nothing', async () => {
    writeFileSync(path, '');
    const one = attach();
    one.listen();
    one.attached.end();
    one.exit.resolve(3);
    expect(await one.attached.exited).toBe(3);
  });
});
