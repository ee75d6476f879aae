import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { replaceContainer } from '../../../store/containers.ts';
import { keys } from '../../../store/keys.ts';
import { addOperation, type OperationRecord, replaceOperation } from '../../../store/operations.ts';
import { newOperation } from '../../../workflow/operation/new-operation.ts';
import { nextContainer, nextOperation } from '../../../workflow/operation/next-records.ts';
import { freeDisk, IMAGE, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { TENANT } from '../../helpers/records.ts';

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

/** Requests a removal while another operation has the container. */
const overtake = async (id: string): Promise<OperationRecord> => {
  const before = await world.container(id);
  const activeId = before?.view.activeOperationId;
  if (before === undefined || activeId === null || activeId === undefined) throw new TypeError('not taken');
  const active = await world.operation(activeId);
  const removal: OperationRecord = {
    ...newOperation(before, {
      id: randomUUID(),
      kind: 'remove',
      actor: 'bob',
      parameters: {},
      now: world.deps.now(),
    }),
    after: activeId,
  };
  const at = world.deps.now().toISOString();
  await world.table.transact([
    replaceContainer(before, nextContainer(before, { tombstone: removal.id }, { at, actor: 'bob' })),
    replaceOperation(active, nextOperation(active, { view: { state: 'Cancelling' } }, at)),
    addOperation(removal),
  ]);
  return removal;
};

const expectGone = async (id: string, removalId: string) => {
  expect(await world.container(id)).toBeUndefined();
  expect(host.containers.size).toBe(0);
  expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
  expect((await world.operation(removalId)).view).toMatchObject({ state: 'Succeeded', reason: null });
  expect(await world.commandsOf(host.hostId)).toEqual([]);
};

describe('a removal that waits for the active operation', () => {
  test('if the command has not reached the host, the start is undone and the container removed', async () => {
    const { id, operationId } = await world.create({ runtimeType: 'HyperV' });
    host.silentOn.add('startContainer');
    await world.settle();
    const removal = await overtake(id);
    host.silentOn.clear();
    host.inProgress.clear();
    host.heartbeat();
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Cancelled');
    await expectGone(id, removal.id);
  });

  test('if the operation sees it too late, the start is completed and then the container removed', async () => {
    const { id, operationId } = await world.create();
    await world.tasks.run(world.handlers);
    const removal = await overtake(id);
    await world.settle();
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
    await expectGone(id, removal.id);
  });

  test('if the operation fails, the container is handed over too', async () => {
    host.failing.add('startContainer');
    const { id, operationId } = await world.create();
    await world.tasks.run(world.handlers);
    const removal = await overtake(id);
    await world.settle(2);
    expect((await world.operation(operationId)).view.state).toBe('Failed');
    await expectGone(id, removal.id);
  });

  test('the epoch increases at each hand-over', async () => {
    const { id } = await world.create();
    await world.tasks.run(world.handlers);
    host.silentOn.add('removeContainer');
    const removal = await overtake(id);
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      epoch: 2,
      tombstone: null,
      stateBefore: 'Running',
      reservation: { memoryMB: 128 },
      view: { state: 'Removing', activeOperationId: removal.id },
    });
    expect(await world.operation(removal.id)).toMatchObject({ epoch: 2, after: null });
  });
});

test('an imported image is in the catalogue and on the host, with its operation', async () => {
  const id = randomUUID();
  const at = world.deps.now();
  const operation: OperationRecord = {
    tenant: TENANT,
    id,
    revision: 1,
    epoch: 0,
    parameters: { source: { path: '/srv/images/tools.tar' } },
    machine: 'run-command',
    after: null,
    placeToken: null,
    actor: 'ann',
    view: {
      kind: 'importImage',
      containerId: null,
      imageName: 'Tools',
      hostId: host.hostId,
      state: 'Pending',
      reason: null,
      steps: [],
      error: null,
      requestedBy: 'ann',
      deadline: new Date(at.getTime() + 900_000).toISOString(),
      createdAt: at.toISOString(),
      updatedAt: at.toISOString(),
      endedAt: null,
    },
  };
  await world.table.transact([addOperation(operation)]);
  world.tasks.start(operation);
  await world.settle(2);
  expect((await world.operation(id)).view).toMatchObject({ state: 'Succeeded', error: null });
  expect((await world.table.get(keys.image(TENANT, 'tools')))?.view?.M?.name?.S).toBe('Tools');
  expect((await world.table.get(keys.imageOnHost(TENANT, 'tools', host.hostId)))?.view?.M?.digest?.S).toBe(
    IMAGE.digest,
  );
});
