import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import { safeRollback } from '../../../agent/execute/safe-rollback.ts';
import type { RuntimeContainer } from '../../../agent/runtimes/runtime.ts';
import { container } from '../../helpers/assigned-container.ts';
import { around, convert, restore } from '../../helpers/linux-conversion.ts';
import { bring, inspectContainer } from '../../helpers/linux-host.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

const injected = {
  after: () => {
    throw new TypeError('injected');
  },
};

describe('a failed conversion', () => {
  const { runtime } = simulatedHost('linux', systemClock);
  afterAll(() => runtime.close());
  const started = async () => {
    const one = container({ command: ['sleep', '600'] });
    await bring(runtime, one.id, one, 'Running', 'first');
    return one;
  };
  const seen = async (id: string) => {
    const found = await inspectContainer(runtime, id);
    return { runtimeType: found?.runtimeType, running: found?.process?.running, vm: found?.utilityVm };
  };
  const DOWN = { runtimeType: 'HyperV', running: false, vm: 'Absent' };

  test('is rolled back if no code of the container has run in the VM', async () => {
    const one = await started();
    const failing = around(runtime, 'mountLayers', injected);
    await expect(convert(failing, one, 'HyperV', 'first')).rejects.toThrow('injected');
    expect(await seen(one.id)).toEqual({ runtimeType: 'Default', running: true, vm: 'Absent' });
  });

  test('leaves the container running in the VM if its code runs there', async () => {
    const one = await started();
    const failing = around(runtime, 'startProcess', injected);
    await expect(convert(failing, one, 'HyperV', 'first')).rejects.toThrow('injected');
    expect(await seen(one.id)).toEqual({ runtimeType: 'HyperV', running: true, vm: 'Connected' });
  });

  test('leaves the container off if its code has run in the VM, and the control plane cannot restore it to the host’s kernel', async () => {
    const one = await started();
    const dying = around(runtime, 'startProcess', {
      after: () => runtime.stopProcess(one.id, 0, new AbortController().signal),
    });
    await expect(convert(dying, one, 'HyperV', 'first')).rejects.toThrow('does not run');
    expect(await seen(one.id)).toEqual(DOWN);
    await restore(runtime, one, 'Running');
    expect(await seen(one.id)).toEqual(DOWN);
  });

  test.each(['stopProcess', 'setRuntimeType', 'mountLayers', 'startProcess'] as const)(
    'with `onFailure: stop` is off, as HyperV, when %s fails',
    async (verb) => {
      const one = await started();
      const failing = around(runtime, verb, injected);
      await expect(convert(failing, one, 'HyperV', 'first', 'stop')).rejects.toThrow('injected');
      expect(await seen(one.id)).toEqual(DOWN);
    },
  );

  test('to Default without consent does not stop the container', async () => {
    const one = { ...(await started()), runtimeType: 'HyperV' as const };
    await bring(runtime, one.id, one, 'Running', 'second');
    await expect(convert(runtime, one, 'Default', 'second', 'restore', false)).rejects.toMatchObject({
      code: 'untrusted-disk',
      message: expect.stringContaining(one.id),
    });
    expect(await seen(one.id)).toEqual({ runtimeType: 'HyperV', running: true, vm: 'Connected' });
  });
});

describe('the rollback target of a failed operation', () => {
  const wanted = { container: container({}), target: 'Running' as const };
  const observed = (change: Partial<RuntimeContainer>): RuntimeContainer => ({
    id: wanted.container.id,
    runtimeType: 'HyperV',
    writableLayer: true,
    untrustedDisk: true,
    utilityVm: 'Absent',
    networkEndpoint: false,
    disksAttached: false,
    layersMounted: false,
    process: null,
    workerProcess: null,
    ...change,
  });
  const process = (running: boolean) => ({
    instanceId: randomUUID(),
    running,
    startedAt: new Date(0),
    endedAt: null,
    exitCode: null,
    exitReason: null,
  });

  test.each([
    ['the container has not run in a VM', observed({ untrustedDisk: false }), 'Default', 'Running'],
    ['the container is already Default', observed({ runtimeType: 'Default' }), 'Default', 'Running'],
    ['there is no observation', null, 'Default', 'Running'],
    ['the container has run in a VM', observed({}), 'HyperV', 'Off'],
    ['the container has ended in a VM', observed({ process: process(false) }), 'HyperV', 'Off'],
    ['the container runs in a VM', observed({ process: process(true) }), 'HyperV', 'Running'],
  ] as const)('%s', (_, found, runtimeType, target) => {
    const end = safeRollback(wanted, found);
    expect([end.container.runtimeType, end.target]).toEqual([runtimeType, target]);
    expect(safeRollback({ ...wanted, target: 'Absent' }, found).target).toBe('Absent');
  });
});
