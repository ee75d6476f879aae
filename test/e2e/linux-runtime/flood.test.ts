import { statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, jest, test } from '@jest/globals';
import { STREAM_WINDOW } from '../../../agent/runtimes/linux/channel/frames.ts';
import { GuestProcess } from '../../../agent/runtimes/linux/channel/guest-process.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { commandLineOf, listPids, readStat } from '../../../agent/runtimes/linux/proc.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { collectGarbage } from '../../helpers/collect-garbage.ts';
import { bring, canHostLinux, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
const MIB = 1024 * 1024;
const FLOODS = 8;
/** Margin for data that is on its way between the channel and a stream. */
const SLACK = 2 * MIB;

/** This process's descriptors for processes besides the main process. */
const relays = (): number[] =>
  listPids().filter(
    (pid) => commandLineOf(pid)[1] === 'relay' && Number(readStat(pid)?.fields[1]) === process.pid,
  );

/** Memory of this process for data from containers. */
const buffered = (): number => {
  collectGarbage();
  const { arrayBuffers } = process.memoryUsage();
  return arrayBuffers;
};

real('a container that floods its host', () => {
  const host = new SharedLinuxHost('flood');
  const make = (runtimeType: RuntimeType, command = ['sleep', '600']) =>
    container({ runtimeType, command, switchName: 'none' });
  const asleep = async (one: AssignedContainer, name: string) =>
    Number(
      await host.sh(
        one,
        `grep -l '^Name:.${name}' /proc/[0-9]*/status | xargs grep -h ^State: | grep -c S || true`,
      ),
    );

  test.each(TYPES)('%s: unread output blocks only its own process', async (type) => {
    const [flooder, neighbour] = [make(type), make(type)];
    for (const one of [flooder, neighbour]) await host.up(one);
    await host.putProbe(flooder);
    const before = buffered();
    const unread = await Promise.all(
      Array.from({ length: FLOODS }, () =>
        host.runtime.startExec(flooder.id, { command: ['/probe', 'flood'] }),
      ),
    );
    // All processes write until they block.
    await until(async () => (await asleep(flooder, 'probe')) === FLOODS);
    expect(buffered() - before).toBeLessThan(FLOODS * STREAM_WINDOW + SLACK);
    expect(await host.sh(flooder, 'echo beside it')).toBe('beside it');
    expect(await host.sh(neighbour, 'echo unharmed')).toBe('unharmed');

    // Once its output is read, a process continues, no faster than the reader.
    const [first] = unread;
    let read = 0;
    first?.onOutput((_, data) => {
      read += data.length;
      first.consumed(data.length);
    });
    await until(() => read > 4 * STREAM_WINDOW);
    for (const one of unread) one.signal(9);
    expect(buffered() - before).toBeLessThan(FLOODS * STREAM_WINDOW + SLACK);
  });

  test.each(TYPES)('%s: a process ends even if others still have its output open', async (type) => {
    const one = make(type);
    await host.up(one);
    expect(await host.sh(one, 'sleep 500 & echo said')).toBe('said');
    expect(await runIn(host.runtime, one.id, { command: ['sh', '-c', 'sleep 500 & exit 7'] })).toMatchObject({
      exitCode: 7,
    });
    expect(await host.sh(one, 'ps | grep -c "[s]leep 500"')).toBe('2');
  });

  test('a killed process ends, and processes with unread output end with their container', async () => {
    const one = make('Default');
    await host.up(one);
    await host.putProbe(one);
    const stuck = await host.runtime.startExec(one.id, { command: ['sleep', '555'] });
    await until(async () => (await host.sh(one, 'ps')).includes('sleep 555'));
    stuck.signal(9);
    expect(await stuck.exited).toBe(137);
    await until(async () => !(await host.sh(one, 'ps')).includes('sleep 555'));
    const unread = await host.runtime.startExec(one.id, { command: ['/probe', 'flood'] });
    await until(async () => (await asleep(one, 'probe')) === 1);
    expect(relays().length).toBeGreaterThan(0);
    await bring(host.runtime, one.id, null, 'Absent');
    await expect(unread.exited).rejects.toThrow();
    await until(() => relays().length === 0);
  });

  test('a signal reaches a process that has begun, before runc has returned', async () => {
    const one = make('Default');
    await host.up(one);
    for (let seconds = 1_001; seconds <= 1_020; seconds += 1) {
      const command = ['sleep', String(seconds)];
      const runs = () => listPids().some((pid) => commandLineOf(pid).join(' ') === command.join(' '));
      const started = await host.runtime.startExec(one.id, { command });
      // Without a pause, to be faster than runc.
      while (!runs()) await setImmediate();
      started.signal(9);
      expect([await started.exited, runs()]).toEqual([137, false]);
    }
  });

  test.each(TYPES)('%s: input that the process does not read is not reported as consumed', async (type) => {
    const one = make(type);
    await host.up(one);
    const stuck = await host.runtime.startExec(one.id, { command: ['sleep', '600'] });
    let taken = 0;
    stuck.onInputTaken((bytes) => {
      taken += bytes;
    });
    const chunk = Buffer.alloc(MIB / 16);
    for (let written = 0; written < 64 * MIB; written += chunk.length) stuck.write(chunk);
    expect(await host.sh(one, 'echo still here')).toBe('still here');
    expect(taken).toBeLessThan(GuestProcess.MAX_INPUT_BYTES);
    stuck.signal(9);
  });

  test.each(TYPES)('%s: the log of a main process with endless output stays small', async (type) => {
    const one = make(type, ['sh', '-c', 'exec tr "\\\\0" "x" < /dev/zero']);
    await host.up(one);
    const { log } = containerPaths(createLayout(host.folder), one.id);
    const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    await until(() => size(`${log}.1`) > 0);
    const inode = () => statSync(`${log}.1`, { throwIfNoEntry: false })?.ino;
    const first = inode();
    await until(() => inode() !== undefined && inode() !== first);
    for (const path of [log, `${log}.1`]) expect(size(path)).toBeLessThanOrEqual(4 * MIB + 64 * 1024);
    expect(await host.sh(one, 'echo still here')).toBe('still here');
  });
});
if (!possible) test.todo('cannot run on this machine');
