import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { listMachineProcesses } from '../../../agent/runtimes/linux/container/process-lists.ts';
import { commandLineOf } from '../../../agent/runtimes/linux/proc.ts';

const KIB = 1024;
const context = { now: new Date(), userNames: new Map() };
let children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  children = [];
});

/** A process with a command line of that many bytes. One argument has at most 128 KiB. */
const withCommandLine = async (bytes: number): Promise<number> => {
  const words = Array.from({ length: Math.ceil(bytes / (64 * KIB)) }, () => 'x'.repeat(64 * KIB));
  const child = spawn('/bin/sh', ['-c', 'echo; read line', ...words], { stdio: ['pipe', 'pipe', 'ignore'] });
  children.push(child);
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  return child.pid as number;
};

describe('a list of processes', () => {
  test('has the beginning of a command line of 1 MB', async () => {
    const pid = await withCommandLine(1024 * KIB);
    const [process] = await listMachineProcesses(context, (one) => one === pid);
    expect(process?.pid).toBe(pid);
    expect(process?.commandLine).toMatch(/^\/bin\/sh -c echo; read line x+$/);
    expect(process?.commandLine).toHaveLength(4 * KIB);
    expect(commandLineOf(pid).join(' ')).toHaveLength(64 * KIB);
  });

  test('has every process, and at most 1 MiB of command lines in total', async () => {
    const pids: number[] = [];
    for (let index = 0; index < 270; index++) pids.push(await withCommandLine(64 * KIB));
    const wanted = new Set(pids);
    const list = await listMachineProcesses(context, (pid) => wanted.has(pid));
    expect(new Set(list.map(({ pid }) => pid))).toEqual(wanted);
    const lengths = list.map(({ commandLine }) => commandLine.length);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(1024 * KIB);
    expect(lengths.filter((length) => length === 0)).toHaveLength(270 - 256);
  });

  test('yields to other work while it is created', async () => {
    let others = 0;
    let listed = false;
    const work = () => {
      others += 1;
      if (!listed) setImmediate(work);
    };
    setImmediate(work);
    for (let index = 0; index < 65; index++) await withCommandLine(1);
    others = 0;
    await listMachineProcesses(context);
    listed = true;
    expect(others).toBeGreaterThan(0);
  });

  test('has a short command line completely', async () => {
    const child = spawn('/bin/sleep', ['600', '0'], { argv0: 'sleep', stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    expect(commandLineOf(child.pid as number)).toEqual(['sleep', '600', '0']);
  });
});
