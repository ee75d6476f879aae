import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createApi, LEASE_SECONDS } from '../../helpers/api.ts';
import { freeDisk, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { UNLIMITED } from '../../helpers/http-function.ts';

/** `DELETE /v1/containers/{id}?force=true` while the container's host is silent. */

let engine: Engine;
let opened: EngineTable;
let world: World;
let host: FakeHost;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  opened = await engine.table();
  world = openWorld(opened);
  host = await world.addHost();
  await world.connect(host);
});

const FREE = { memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) };
const remove = async (id: string, query = 'force=true') => {
  const api = createApi(opened.table, UNLIMITED, { push: world.deps.push });
  api.clock.ms = world.clock.now;
  return api.call('removeContainer', { params: { idOrName: id }, query });
};
const loseHost = async (): Promise<void> => {
  world.cut(host);
  world.clock.now += LEASE_SECONDS * 1000 + 1;
  await world.sweep();
};
const running = async (): Promise<string> => {
  const { id } = await world.create();
  await world.settle();
  expect((await world.container(id))?.view.state).toBe('Running');
  return id;
};
/** The host reconnects, and two inventories a minute apart name the container. */
const bringHostBack = async (): Promise<void> => {
  await world.connect(host);
  await world.settle();
  world.clock.now += 61_000;
  host.heartbeat();
  await world.settle();
};

test('succeeds at once: the container, its name and its reservations are free', async () => {
  const id = await running();
  const name = (await world.container(id))?.view.name;
  await loseHost();
  const answer = await remove(name ?? '');
  expect([answer.status, answer.body.operation.state]).toEqual([202, 'Succeeded']);
  expect(await world.container(id)).toBeUndefined();
  expect((await world.host(host.hostId)).free).toEqual(FREE);
  expect((await remove(name ?? '')).status).toBe(404);
});

test('a host that returns removes the container, and never brings it back', async () => {
  const id = await running();
  await loseHost();
  await remove(id);
  expect(host.running()).toEqual([id]);
  await bringHostBack();
  expect(host.containers.size).toBe(0);
  expect(await world.container(id)).toBeUndefined();
  expect((await world.host(host.hostId)).free).toEqual(FREE);
});

test('an operation that has the container is cancelled, and its late result changes nothing', async () => {
  host.silentOn.add('startContainer');
  const { id, operationId } = await world.create();
  await world.settle();
  await loseHost();
  expect((await remove(id)).body.operation.state).toBe('Succeeded');
  expect((await world.operation(operationId)).view).toMatchObject({
    state: 'Cancelled',
    error: { code: 'operation-cancelled' },
  });
  host.silentOn.clear();
  await bringHostBack();
  await bringHostBack();
  expect(await world.container(id)).toBeUndefined();
  expect(host.containers.size).toBe(0);
  expect((await world.operation(operationId)).view.state).toBe('Cancelled');
  expect((await world.host(host.hostId)).free).toEqual(FREE);
  expect(await world.commandsOf(host.hostId)).toEqual([]);
});

test('a command that has not reached the host is gone: a host that returns does not start the program', async () => {
  world.cut(host);
  const { id, operationId } = await world.create();
  await world.settle();
  expect(await world.commandsOf(host.hostId)).toHaveLength(1);
  // The lease is over, and the command is still valid.
  world.clock.now += LEASE_SECONDS * 1000 + 1;
  await remove(id);
  expect((await world.operation(operationId)).view.state).toBe('Cancelled');
  expect(await world.commandsOf(host.hostId)).toEqual([]);
  await bringHostBack();
  expect(host.received.filter((one) => JSON.stringify(one).includes('startContainer'))).toEqual([]);
});

test('a removal that waits for the host has succeeded too', async () => {
  const id = await running();
  host.silentOn.add('removeContainer');
  const { operation } = (await remove(id)).body;
  await world.settle();
  await loseHost();
  expect((await remove(id)).body.operation.state).toBe('Succeeded');
  expect((await world.operation(operation.id)).view.state).toBe('Succeeded');
  expect(await world.container(id)).toBeUndefined();
});

describe('the host takes part', () => {
  test('while its lease is valid', async () => {
    const id = await running();
    world.cut(host);
    world.clock.now += LEASE_SECONDS * 1000;
    expect((await remove(id)).body.operation.state).not.toBe('Succeeded');
    expect(await world.container(id)).toBeDefined();
  });

  test('without force: the container may still run', async () => {
    const id = await running();
    await loseHost();
    expect((await remove(id, '')).status).toBe(409);
  });
});

describe('a host that is declared lost', () => {
  const declareLost = async (query = 'force=true') => {
    const api = createApi(opened.table, UNLIMITED, { push: world.deps.push });
    api.clock.ms = world.clock.now;
    return api.call('declareHostLost', { params: { id: host.hostId }, body: {}, query });
  };

  test('has containers in state Unknown, which can be removed before its lease is over', async () => {
    const id = await running();
    opened.consumed.reset();
    expect((await declareLost()).body).toMatchObject({ state: 'Lost', schedulable: false });
    // The connection is released with the change of state, so that no message of the host is processed after it.
    expect(
      opened.consumed.calls().filter(({ operation }) => operation === 'TransactWriteItems'),
    ).toHaveLength(2);
    expect(opened.consumed.calls().filter(({ operation }) => operation === 'UpdateItem')).toEqual([]);
    expect((await world.container(id))?.view.state).toBe('Unknown');
    expect((await remove(id)).body.operation.state).toBe('Succeeded');
    expect(await world.container(id)).toBeUndefined();
  });

  test('is refused without force while its agent seems to be connected', async () => {
    const id = await running();
    const refused = await declareLost('');
    expect([refused.status, refused.body.type]).toEqual([409, 'urn:bulkhead:problem:invalid-state']);
    expect((await world.container(id))?.view.state).toBe('Running');
    await world.disconnect(host);
    expect((await declareLost('')).body.state).toBe('Lost');
  });

  test('is not heard any more, and stays lost', async () => {
    const id = await running();
    await declareLost();
    host.exit(id, 3);
    host.heartbeat();
    await world.settle();
    expect((await world.container(id))?.view).toMatchObject({ state: 'Unknown', exitCode: null });
    await world.connect(host);
    await world.settle();
    expect((await world.host(host.hostId)).view.state).toBe('Lost');
    expect((await declareLost()).body.state).toBe('Lost');
  });

  test('does not keep the operations that it had: the sweep ends them', async () => {
    const id = await running();
    host.silentOn.add('stopContainer');
    const api = createApi(opened.table, UNLIMITED, { push: world.deps.push });
    api.clock.ms = world.clock.now;
    const { operation } = (await api.call('stopContainer', { params: { idOrName: id }, body: {} })).body;
    await world.settle();
    expect((await world.operation(operation.id)).view.state).toBe('Running');
    await declareLost();
    world.clock.now += LEASE_SECONDS * 1000 + 1;
    await world.sweep();
    await world.settle();
    expect((await world.operation(operation.id)).view.state).toBe('Failed');
    expect((await world.container(id))?.view.state).toBe('Unknown');
  });
});

describe('DELETE /v1/hosts/{id}?force=true', () => {
  const removeHost = async (query: string) => {
    const api = createApi(opened.table, UNLIMITED, { push: world.deps.push });
    api.clock.ms = world.clock.now;
    return api.call('removeHost', { params: { id: host.hostId }, query });
  };

  test('removes a silent host with its containers', async () => {
    const ids = [await running(), await running(), await running()];
    await loseHost();
    expect((await removeHost('')).status).toBe(409);
    expect((await removeHost('force=true')).status).toBe(204);
    for (const id of ids) expect(await world.container(id)).toBeUndefined();
    expect((await removeHost('force=true')).status).toBe(404);
  });

  test('is refused while the host is connected and has containers', async () => {
    const id = await running();
    const answer = await removeHost('force=true');
    expect([answer.status, answer.body.type]).toEqual([409, 'urn:bulkhead:problem:host-in-use']);
    expect((await world.container(id))?.view.state).toBe('Running');
  });
});
