import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { TIMES } from '../../../core/contract/deployment.ts';
import { replaceOperation } from '../../../store/operations.ts';
import { nextOperation } from '../../../workflow/operation/next-records.ts';
import { freeDisk, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';

/** Operations whose command is written with them, and which no execution runs. */

let engine: Engine;
let world: World;
let host: FakeHost;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
  host = await world.addHost();
  await world.connect(host);
  await world.settle();
});

const create = () => world.create({ placed: true, direct: true });
const running = async (): Promise<string> => {
  const { id } = await create();
  await world.settle();
  return id;
};
const begin = (id: string, kind: 'stop' | 'restart' | 'remove' | 'start') => world.begin(id, kind, {}, true);
const stateOf = async (operationId: string) => (await world.operation(operationId)).view.state;
const viewOf = async (id: string) => (await world.container(id))?.view;
const sweepAfter = async (seconds: number) => {
  world.clock.now += seconds * 1000;
  world.tasks.expire();
  await world.sweep();
  await world.settle();
};

describe('an operation that succeeds', () => {
  test('ends with its host’s result, without an execution', async () => {
    const { id, operationId } = await create();
    await world.settle();
    expect(await stateOf(operationId)).toBe('Succeeded');
    for (const kind of ['restart', 'stop', 'start', 'remove'] as const) {
      const begun = await begin(id, kind);
      await world.settle();
      expect([kind, await stateOf(begun.operationId)]).toEqual([kind, 'Succeeded']);
      expect([kind, world.tasks.status(begun.operationId)]).toEqual([kind, undefined]);
    }
    expect(await world.container(id)).toBeUndefined();
    expect(await world.commandsOf(host.hostId)).toEqual([]);
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
  });

  test('is not affected by results that arrive twice', async () => {
    const { id, operationId } = await create();
    await world.settle(2);
    const after = await world.operation(operationId);
    host.repeatResults();
    await world.settle(2);
    expect(await world.operation(operationId)).toEqual(after);
    expect(await viewOf(id)).toMatchObject({ state: 'Running', activeOperationId: null });
  });

  test('gets a lost command to its host with the next heartbeat', async () => {
    world.cut(host);
    const { operationId } = await create();
    await world.connect(host);
    host.heartbeat();
    await world.settle();
    expect(await stateOf(operationId)).toBe('Succeeded');
  });

  test('records the end of a main process that ended before the start was recorded', async () => {
    const { id, operationId } = await create();
    const [result] = host.outbox.splice(0);
    host.exit(id, 3);
    await world.settle();
    if (result !== undefined) host.outbox.push(result);
    await world.settle();
    expect(await stateOf(operationId)).toBe('Succeeded');
    expect(await viewOf(id)).toMatchObject({ state: 'Off', exitCode: 3 });
    expect(await world.container(id)).toMatchObject({ reservation: null, process: null, ranAs: ['Default'] });
  });
});

describe('the newest run of a container', () => {
  const RUN = { endedAt: null, restarting: false, outOfMemory: false, ports: [] };
  const ENDED = { ...RUN, endedAt: '2026-01-01T00:00:09.000Z' };
  const STARTED = { startedAt: '2026-01-01T00:00:01.000Z', restartCount: 2 };
  const runOf = async (id: string) => (await world.container(id))?.lastRun;

  test('is recorded from reports, and kept after its end', async () => {
    const id = await running();
    const ports = [{ hostPort: 32_768, containerPort: 80, protocol: 'tcp' as const }];
    host.report(id, { ...STARTED, run: { ...RUN, ports } });
    await world.settle();
    expect(await runOf(id)).toEqual({ ...STARTED, ...RUN, ports });
    host.report(id, { ...STARTED, phase: 'Off', exitCode: 137, run: { ...ENDED, outOfMemory: true } });
    await world.settle();
    const ended = { ...STARTED, ...ENDED, outOfMemory: true };
    expect([await runOf(id), (await viewOf(id))?.state]).toEqual([ended, 'Off']);
  });

  test('shows what the restart policy decided, and an older report changes nothing', async () => {
    const id = await running();
    const off = { ...STARTED, phase: 'Off', exitCode: 1 } as const;
    host.report(id, { ...off, run: ENDED });
    host.report(id, { ...off, run: { ...ENDED, restarting: true } });
    await world.settle();
    expect(await runOf(id)).toMatchObject({ restarting: true });
    host.report(id, { ...off, run: ENDED });
    await world.settle();
    expect(await runOf(id)).toMatchObject({ restarting: false });
    const { revision } = (await world.container(id)) ?? { revision: 0 };
    host.report(id, { ...off, run: ENDED });
    await world.settle();
    expect((await world.container(id))?.revision).toBe(revision);
  });

  test('is kept if an agent of an earlier version reports no details', async () => {
    const id = await running();
    host.report(id, { ...STARTED, run: RUN });
    host.report(id, { ...STARTED, phase: 'Off', run: undefined });
    await world.settle();
    expect(await runOf(id)).toEqual({ ...STARTED, ...RUN });
  });
});

describe('an operation that fails', () => {
  test('on its host: the start is undone', async () => {
    host.failing.add('startContainer');
    const { id, operationId } = await create();
    await world.settle();
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'step-failed', detail: 'It did not work.', context: { step: 'StartContainer' } },
    });
    expect(await viewOf(id)).toMatchObject({ state: 'Failed', hostId: null });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('on its host: a stop leaves the container running', async () => {
    const id = await running();
    host.failing.add('stopContainer');
    const { operationId } = await begin(id, 'stop');
    await world.settle(2);
    expect(await stateOf(operationId)).toBe('Failed');
    expect(host.running()).toEqual([id]);
    host.failing.clear();
    host.heartbeat();
    await world.settle();
    expect(await viewOf(id)).toMatchObject({ state: 'Running', activeOperationId: null });
  });

  test.each(['start', 'stop'] as const)(
    'because its host is silent: the %s ends after the lease',
    async (kind) => {
      const id = kind === 'stop' ? await running() : '';
      world.cut(host);
      const { operationId } = kind === 'stop' ? await begin(id, 'stop') : await create();
      await sweepAfter(200);
      await sweepAfter(TIMES.undoSeconds + 1);
      expect((await world.operation(operationId)).view).toMatchObject({
        state: 'Failed',
        error: { code: 'host-not-answering' },
      });
      const containerId = (await world.operation(operationId)).view.containerId ?? '';
      expect(await viewOf(containerId)).toMatchObject({ state: 'Unknown', activeOperationId: null });
    },
  );

  test('on its host, whose failure was stored before a crash, and which never returns', async () => {
    host.failing.add('startContainer');
    jest.spyOn(world.deps, 'startFailure').mockRejectedValueOnce(new TypeError('crashed'));
    const { operationId } = await create();
    await expect(world.settle()).rejects.toThrow('crashed');
    world.cut(host);
    await sweepAfter(200);
    await sweepAfter(TIMES.undoSeconds + 1);
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'step-failed', detail: 'It did not work.' },
    });
  });

  test('on a silent host with many: a sweep starts what fits its time, and the next one the rest', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 15; count += 1) ids.push((await create()).id);
    await world.settle();
    world.cut(host);
    const begun: string[] = [];
    for (const id of ids) begun.push((await begin(id, 'stop')).operationId);
    const start = world.tasks.startFailure;
    const slow = jest.spyOn(world.deps, 'startFailure').mockImplementation(async (...given) => {
      world.clock.now += 1000;
      return start(...given);
    });
    await sweepAfter(200);
    expect(slow.mock.calls.length).toBeLessThan(ids.length);
    await sweepAfter(60);
    for (const operationId of begun) expect(await stateOf(operationId)).toBe('Failed');
    expect(slow).toHaveBeenCalledTimes(ids.length);
  });

  test('because its host never answers: it ends at its deadline', async () => {
    host.silentOn.add('startContainer');
    const { id, operationId } = await create();
    await world.settle();
    for (let minute = 0; minute <= TIMES.operationDeadlineSeconds / 60; minute += 1) {
      host.heartbeat();
      await world.settle();
      world.clock.now += 60_000;
    }
    host.heartbeat();
    await world.settle();
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'deadline-exceeded' },
    });
    expect(await viewOf(id)).toMatchObject({ state: 'Failed', hostId: null });
  });

  test('because it is cancelled before its command has reached the host', async () => {
    world.cut(host);
    const { id, operationId } = await create();
    const before = await world.operation(operationId);
    const at = world.deps.now().toISOString();
    const cancelling = nextOperation(before, { view: { state: 'Cancelling' } }, at);
    await world.table.transact([replaceOperation(before, cancelling)]);
    await world.connect(host);
    host.heartbeat();
    await world.settle();
    expect(await stateOf(operationId)).toBe('Cancelled');
    expect(host.containers.size).toBe(0);
    expect(await viewOf(id)).toMatchObject({ hostId: null, activeOperationId: null });
  });
});
