import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import { LogAttachment } from '../../../agent/runtimes/linux/container/log-attachment.ts';
import type { PacedProcess } from '../../../agent/runtimes/linux/container/paced-process.ts';
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

/** An attached main process and its client. */
const attach = ({ paced = false } = {}) => {
  const paces: (number | undefined)[] = [];
  const exit = Promise.withResolvers<number>();
  let wrote: (stream: 'stdout', data: Buffer) => void = () => undefined;
  const joined = {
    exited: exit.promise,
    onOutput: (handler: typeof wrote) => {
      wrote = handler;
    },
    consumed: () => undefined,
    pace: (bytes?: number) => paces.push(bytes),
    end: () => undefined,
  } as unknown as PacedProcess;
  const attached = new LogAttachment(joined, {
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
    paces: () => paces,
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

describe('an attachment through the log', () => {
  test('delivers earlier output, new output and an unfinished line, then the exit', async () => {
    log('before');
    const one = attach();
    one.listen();
    await until(() => one.text() === 'before\n');
    log('after');
    one.ring();
    await until(() => one.text() === 'before\nafter\n');
    // Reported before it is in the log.
    one.ring();
    await sleep(10);
    log('name? ', 'P');
    await until(() => one.text().endsWith('name? '));
    log('last words');
    one.exit.resolve(5);
    expect(await one.attached.exited).toBe(5);
    expect(one.text()).toBe('before\nafter\nname? last words\n');
  });

  test('delivers output from just before the attachment that is not in the log yet', async () => {
    const one = attach();
    one.listen();
    await sleep(10);
    log('name? ', 'P');
    await until(() => one.text() === 'name? ');
    one.attached.end();
  });

  test('delivers all output to a slow reader, never more than a window at a time', async () => {
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

  test('reports the number of read log bytes to a paced process', async () => {
    const line = 'x'.repeat(10_000);
    for (let bytes = 0; bytes < 3_000_000; bytes += line.length) log(line);
    const size = statSync(path).size;
    const one = attach({ paced: true });
    one.listen();
    await until(() => one.unread() > 256 * 1024);
    await sleep(50);
    // All earlier bytes count as read. Only later bytes are counted.
    expect(one.paces()).toEqual([undefined]);
    for (let bytes = 0; bytes < 500_000; bytes += line.length) log(line);
    const logged = statSync(path).size - size;
    while (one.paces().length === 1) {
      one.consume();
      await sleep(1);
    }
    expect(one.text().length).toBeGreaterThan(2_900_000);
    while (one.paces().at(-1) !== undefined) {
      one.consume();
      await sleep(1);
    }
    const told = one.paces().reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
    expect(told).toBeLessThanOrEqual(logged);
    expect(told).toBeGreaterThan(logged / 2);
    one.attached.end();
    const unpaced = attach();
    unpaced.listen();
    unpaced.exit.resolve(0);
    const over = unpaced.attached.exited.then(() => 'over');
    while ((await Promise.race([over, sleep(1)])) !== 'over') unpaced.consume();
    expect(unpaced.paces()).toEqual([]);
  });

  test('reports output that the log has dropped as lost', async () => {
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

  test('delivers the last output even if the exit is not observed', async () => {
    const one = attach();
    one.listen();
    one.exit.reject(new Error('the VM is gone'));
    await sleep(10);
    log('last words');
    await expect(one.attached.exited).rejects.toThrow('the VM is gone');
    expect(one.text()).toBe('last words\n');
  });

  test('reports an error, not an exit, if the log cannot be read', async () => {
    mkdirSync(path);
    const one = attach();
    one.listen();
    await expect(one.attached.exited).rejects.toMatchObject({ code: 'EISDIR' });
  });

  test('without a reader does not block the process', async () => {
    writeFileSync(path, '');
    const one = attach();
    one.listen();
    one.attached.end();
    one.exit.resolve(3);
    expect(await one.attached.exited).toBe(3);
  });
});
