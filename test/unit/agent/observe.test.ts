import { describe, expect, test } from '@jest/globals';
import { observe } from '../../../agent/execute/observe.ts';
import type { MainProcess, RuntimeContainer } from '../../../agent/runtimes/runtime.ts';
import type { ContainerRecord } from '../../../agent/state/agent-state.ts';

const ID = 'bbbbbbbb-0000-4000-8000-000000000001';
const PORTS = [{ hostPort: 32_768, containerPort: 80, protocol: 'tcp' as const }];

const runOf = async (process: Partial<MainProcess> | null, record: Partial<ContainerRecord> = {}) => {
  const began = { instanceId: 'i', running: false, startedAt: new Date(1_000), endedAt: new Date(9_000) };
  const found = {
    ...{ id: ID, runtimeType: 'Default', writableLayer: true, workerProcess: null, ports: PORTS },
    process: process && { ...began, exitCode: 1, exitReason: null, ...process },
  } as unknown as RuntimeContainer;
  const runtime = { inspect: async () => [found] };
  const state = {
    nextSequence: () => 1,
    container: () => ({ desired: 'Off', backoffMs: 0, ...record }) as ContainerRecord,
    containers: () => [],
  };
  return (await observe({ runtime, state }, ID)).run;
};

describe('a report on the newest run', () => {
  test('has the end, the reason and no ports once it has ended', async () => {
    expect(await runOf({ outOfMemory: true })).toEqual({
      endedAt: '1970-01-01T00:00:09.000Z',
      ...{ restarting: false, outOfMemory: true, ports: [] },
    });
  });

  test('has the ports that the host chose while it runs', async () => {
    expect(await runOf({ running: true, endedAt: null })).toEqual({
      ...{ endedAt: null, restarting: false, outOfMemory: false, ports: PORTS },
    });
  });

  test.each<[Partial<ContainerRecord>, boolean]>([
    [{ desired: 'Running', backoffMs: 0 }, false],
    [{ desired: 'Running', backoffMs: 100 }, true],
    [{ desired: 'Off', backoffMs: 100 }, false],
  ])('is restarting only after the restart policy has decided so: %j', async (record, restarting) => {
    expect((await runOf({}, record))?.restarting).toBe(restarting);
  });

  test('is missing for a container that has never run', async () => {
    expect(await runOf(null)).toBeUndefined();
  });
});
