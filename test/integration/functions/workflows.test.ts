import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { commitOperation } from '../../../workflow/operation/commit-operation.ts';
import { freeDisk, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { commandsIn } from '../../helpers/signing.ts';

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

const created = async (options: Parameters<World['create']>[0] = {}) => {
  const made = await world.create(options);
  await world.settle();
  return made;
};

describe('an operation that succeeds', () => {
  test('create and start: placed, started and committed, with its compute process and reservation', async () => {
    const { id, operationId } = await created({ runtimeType: 'HyperV' });
    const container = await world.container(id);
    expect(container).toMatchObject({
      reservation: { memoryMB: 192, cpus: 0.5 },
      ranAs: ['HyperV'],
      view: { state: 'Running', hostId: host.hostId, activeOperationId: null, lastError: null },
    });
    expect((await world.host(host.hostId)).free).toEqual({
      memoryMB: 4096 - 192,
      cpus: 7.5,
      diskMB: freeDisk(1),
    });
    expect(await world.computeProcess(id)).toBeDefined();
    const { view } = await world.operation(operationId);
    expect(view).toMatchObject({ state: 'Succeeded', reason: null, error: null });
    expect(view.steps.filter(({ name }) => name !== 'do').map(({ name, state }) => [name, state])).toEqual([
      ['Place', 'Succeeded'],
      ['ProvisionUtilityVm', 'Succeeded'],
    ]);
    expect(host.running()).toEqual([id]);
    expect(world.tasks.status(operationId)).toBe('SUCCEEDED');
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('create without start: Off on a host, without a reservation', async () => {
    const { id } = await created({ start: false });
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      ranAs: [],
      view: { state: 'Off', hostId: host.hostId },
    });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(1) });
  });

  test('stop, start, restart, remove: capacity is released and reserved exactly', async () => {
    const { id } = await created();
    await world.begin(id, 'stop');
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      view: { state: 'Off', exitCode: 143, startedAt: null },
    });
    expect(await world.computeProcess(id)).toBeUndefined();
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(1) });

    await world.begin(id, 'start');
    await world.settle();
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', hostId: host.hostId });
    await world.begin(id, 'restart');
    await world.settle();
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', activeOperationId: null });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 3968, cpus: 7.5, diskMB: freeDisk(1) });

    const { operationId } = await world.begin(id, 'remove');
    await world.settle();
    expect(await world.container(id)).toBeUndefined();
    expect(await world.computeProcess(id)).toBeUndefined();
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
    expect(host.containers.size).toBe(0);
  });

  test('has the same result if all functions and messages are repeated', async () => {
    world.tasks.invocations = 2;
    const { id, operationId } = await world.create();
    await world.settle(2);
    expect(await world.container(id)).toMatchObject({
      reservation: { memoryMB: 128 },
      view: { state: 'Running' },
    });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 3968, cpus: 7.5, diskMB: freeDisk(1) });
    const after = await world.operation(operationId);
    expect(after.view.state).toBe('Succeeded');
    const input = { tenant: 'acme', operationId, containerId: id, epoch: 1 };
    expect(await commitOperation(world.deps, input, [])).toMatchObject({ kind: 'already-ended' });
    await world.handlers.settle({ ...input, failure: { error: 'x', cause: '' }, undone: true });
    await world.handlers.dispatch({ ...input, step: 'StartContainer', taskToken: 'late' });
    await world.handlers.place({ ...input, step: 'Place', taskToken: 'late' });
    expect(await world.operation(operationId)).toEqual(after);
    expect((await world.container(id))?.view.state).toBe('Running');
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('answers the workflow when the result is repeated after a crash', async () => {
    host.silentOn.add('startContainer');
    const { id, operationId } = await created();
    host.silentOn.clear();
    host.answerPending('startContainer');
    const crash = jest.spyOn(world.tasks, 'succeed').mockRejectedValueOnce(new TypeError('crashed'));
    await expect(world.settle()).rejects.toThrow('crashed');
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
    expect(world.tasks.status(operationId)).toBe('RUNNING');
    crash.mockRestore();
    host.repeatResults();
    await world.settle();
    expect(world.tasks.status(operationId)).toBe('SUCCEEDED');
    expect((await world.container(id))?.view.state).toBe('Running');
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('is not completed by a success that arrives after Undo has begun', async () => {
    host.silentOn.add('startContainer').add('restoreContainer');
    const { id, operationId } = await world.create();
    await world.settle();
    world.tasks.timeOut(operationId);
    await world.settle();
    host.silentOn.clear();
    host.answerPending('startContainer');
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Running');
    expect((await world.container(id))?.view.state).toBe('Starting');
    host.heartbeat();
    host.answerPending('restoreContainer');
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Failed');
    expect((await world.container(id))?.view).toMatchObject({ state: 'Failed', hostId: null });
    expect(host.containers.size).toBe(0);
  });

  test('is not changed by an older epoch', async () => {
    const { id } = await created();
    const { operationId } = await world.begin(id, 'stop');
    const before = await world.container(id);
    const stale = { tenant: 'acme', operationId, containerId: id, epoch: 1 };
    expect(await commitOperation(world.deps, stale, [])).toEqual({ kind: 'superseded' });
    await world.handlers.dispatch({ ...stale, step: 'StopContainer', taskToken: 'old' });
    expect(await world.container(id)).toEqual(before);
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });
});

describe('an operation that does not succeed', () => {
  test('a create whose start fails is undone: Failed, without host and reservation', async () => {
    host.failing.add('startContainer');
    const { id, operationId } = await created();
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      view: { state: 'Failed', hostId: null, activeOperationId: null, lastError: { code: 'step-failed' } },
    });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
    expect(host.containers.size).toBe(0);
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'step-failed', detail: 'It did not work.', context: { step: 'StartContainer' } },
    });
  });

  test('a start that fails leaves the files on the host', async () => {
    const { id } = await created({ start: false });
    host.failing.add('startContainer');
    await world.begin(id, 'start');
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      view: { state: 'Failed', hostId: host.hostId },
    });
    expect(host.containers.get(id)?.phase).toBe('Off');
  });

  test('with an unknown outcome leaves the container Unknown and keeps its reservation until the host reports', async () => {
    host.failing.add('startContainer').add('restoreContainer');
    const { id } = await world.create();
    await world.tasks.run(world.handlers);
    for (const said of host.outbox.splice(0)) await world.say(host, said);
    await world.tasks.run(world.handlers);
    for (const said of host.outbox.splice(0)) await world.say(host, said);
    await world.tasks.run(world.handlers);
    expect(await world.container(id)).toMatchObject({
      reservation: { memoryMB: 128 },
      view: { state: 'Unknown' },
    });
    expect(host.received.at(-1)).toEqual({ action: 'inventoryRequest' });
    // The container has changed too recently to count as lost. The next heartbeat requests the inventory again.
    await world.settle();
    expect((await world.container(id))?.view.state).toBe('Unknown');
    world.clock.now += 60_000;
    host.heartbeat();
    await world.settle();
    expect(await world.container(id)).toMatchObject({ reservation: null, view: { state: 'Failed' } });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(1) });
  });

  test('a stop that fails leaves the state that the host reports', async () => {
    const { id } = await created();
    host.failing.add('stopContainer');
    await world.begin(id, 'stop');
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: { memoryMB: 128 },
      view: { state: 'Running' },
    });
  });

  test('whose execution is aborted is settled once, by its status change', async () => {
    host.silentOn.add('startContainer');
    const { id, operationId } = await created();
    const event = world.tasks.abort(operationId);
    await world.handlers.settle(event);
    const after = await world.operation(operationId);
    expect(after.view).toMatchObject({ state: 'Failed', error: { code: 'operation-aborted' } });
    await world.handlers.settle(event);
    expect(await world.operation(operationId)).toEqual(after);
    expect((await world.container(id))?.view).toMatchObject({ state: 'Unknown', activeOperationId: null });
  });

  test('whose host does not report progress fails as not answering', async () => {
    host.silentOn.add('startContainer');
    const { id, operationId } = await created();
    world.tasks.timeOut(operationId);
    await world.settle();
    expect((await world.operation(operationId)).view.error).toMatchObject({ code: 'host-not-answering' });
    expect((await world.container(id))?.view).toMatchObject({ state: 'Failed', hostId: null });
  });

  test('a result that arrives after the end changes nothing and is acknowledged', async () => {
    host.silentOn.add('startContainer');
    const { operationId, id } = await created();
    await world.handlers.settle(world.tasks.abort(operationId));
    const before = await world.operation(operationId);
    await world.say(host, {
      action: 'result',
      messageId: 'late',
      result: {
        commandId: `${operationId}:StartContainer:1`,
        steps: [],
        status: 'succeeded',
        observed: null,
      },
    });
    expect(host.received.at(-1)).toEqual({ action: 'ack', messageId: 'late' });
    expect(await world.operation(operationId)).toEqual(before);
    expect((await world.container(id))?.view.activeOperationId).toBeNull();
  });
});

describe('a lost callback', () => {
  test('of a placement whose process crashed is answered by the repeat', async () => {
    const { operationId, operation, id } = await world.create({ began: false });
    const succeed = world.deps.tasks.succeed.bind(world.tasks);
    let calls = 0;
    world.tasks.succeed = async (token) => {
      calls += 1;
      if (calls === 1) throw new TypeError('died');
      return succeed(token);
    };
    const input = { tenant: 'acme', operationId, containerId: id, epoch: 1, step: 'Place' };
    await expect(world.handlers.place({ ...input, taskToken: 'one' })).rejects.toThrow('died');
    expect((await world.container(id))?.reservation).toEqual({ memoryMB: 128, cpus: 0.5 });
    world.tasks.start(operation);
    await world.settle();
    expect((await world.container(id))?.view.state).toBe('Running');
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 3968, cpus: 7.5, diskMB: freeDisk(1) });
  });

  test('of a stored result is completed when the host repeats the result', async () => {
    const { operationId } = await world.create();
    await world.tasks.run(world.handlers);
    const succeed = world.deps.tasks.succeed.bind(world.tasks);
    world.tasks.succeed = async () => {
      throw new TypeError('died');
    };
    const [said] = host.outbox.splice(0);
    if (said === undefined) throw new TypeError('nothing said');
    await expect(world.say(host, said)).rejects.toThrow('died');
    expect(host.received.filter(({ action }) => action === 'ack')).toEqual([]);
    world.tasks.succeed = succeed;
    await world.say(host, said);
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
  });
});

describe('a step that timed out before its host got the command', () => {
  test('is not sent once it is being undone', async () => {
    world.cut(host);
    const { id, operationId } = await world.create();
    await world.settle();
    world.tasks.timeOut(operationId);
    await world.settle();
    await world.connect(host);
    await world.settle(2);
    expect(host.running()).toEqual([]);
    expect((await world.container(id))?.view).toMatchObject({ state: 'Failed', hostId: null });
    const verbs = commandsIn(host.received).map((one) => one.arguments.verb);
    expect(new Set(verbs)).toEqual(new Set(['restoreContainer']));
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });
});
