import { describe, expect, test } from '@jest/globals';
import { IdleMemory } from '../../../agent/runtimes/linux/vm/idle-memory.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const INTERVAL_MS = 30_000;

/** One VM whose use of the processor and requests the test sets. */
const watched = () => {
  const clock = new ManualClock();
  const worker = { pid: 7, startTicks: 1 };
  const vm = { cpuMs: 500 as number | null, requests: 0, returned: 0 };
  const idle = new IdleMemory(clock, INTERVAL_MS, () => [{ id: 'vm', worker, requests: vm.requests }], {
    cpuMs: () => vm.cpuMs,
    returnMemory: (given) => {
      expect(given).toBe(worker);
      vm.returned += 1;
    },
  });
  const pass = async (cpuMs: number, requests = 0) => {
    if (vm.cpuMs !== null) vm.cpuMs += cpuMs;
    vm.requests += requests;
    await clock.pass(INTERVAL_MS);
    return vm.returned;
  };
  return { idle, vm, pass };
};

describe('the memory of idle VMs', () => {
  test('is returned after an interval in which the VM only waited, and only once', async () => {
    const { pass } = watched();
    expect(await pass(0)).toBe(0);
    expect(await pass(100)).toBe(1);
    expect(await pass(100)).toBe(1);
  });

  test('is not returned while the VM works', async () => {
    const { pass } = watched();
    await pass(0);
    for (let times = 0; times < 5; times++) expect(await pass(700)).toBe(0);
    expect(await pass(100)).toBe(1);
  });

  test('is not returned while processes are started in the VM, even if they use little', async () => {
    const { pass } = watched();
    await pass(0);
    for (let times = 0; times < 5; times++) expect(await pass(20, 1)).toBe(0);
    expect(await pass(20)).toBe(1);
  });

  test('is returned again once the VM has worked again', async () => {
    const { pass } = watched();
    await pass(0);
    expect(await pass(0)).toBe(1);
    expect(await pass(5_000)).toBe(1);
    expect(await pass(0)).toBe(2);
    // A request that costs little is not worth another return.
    expect(await pass(300, 1)).toBe(2);
    expect(await pass(0)).toBe(2);
  });

  test('is not returned by a process that has ended, or after the host is closed', async () => {
    const ended = watched();
    await ended.pass(0);
    ended.vm.cpuMs = null;
    expect(await ended.pass(0)).toBe(0);
    const closed = watched();
    await closed.pass(0);
    closed.idle.close();
    expect(await closed.pass(0)).toBe(0);
  });
});
