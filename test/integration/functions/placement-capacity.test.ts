import { randomUUID } from 'node:crypto';
import {
  BatchWriteItemCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { PlacementNeed } from '../../../core/domain/placement.ts';
import { createAdmitWaitingHandler } from '../../../functions/admit-waiting/handler.ts';
import { releaseCapacity } from '../../../store/capacity.ts';
import type { ContainerRecord } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageOnHostItem } from '../../../store/images.ts';
import { keys } from '../../../store/keys.ts';
import { createTable } from '../../../store/table.ts';
import { findHosts } from '../../../workflow/placement/find-hosts.ts';
import { placeContainer, readNeed } from '../../../workflow/placement/place-container.ts';
import { IMAGE, openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import { TENANT } from '../../helpers/records.ts';
import { scaled } from '../../helpers/scaled.ts';

let engine: Engine;
let opened: EngineTable;
let world: World;

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  opened = await engine.table();
  world = openWorld(opened);
});

const inputOf = ({ id, operationId }: { id: string; operationId: string }) => ({
  tenant: TENANT,
  operationId,
  containerId: id,
  epoch: 1,
});
const place = (made: { id: string; operationId: string }) =>
  world.handlers.place({ ...inputOf(made), step: 'Place', taskToken: `t-${made.operationId}` });

/** A change of a host in the form of the table's stream. */
const changeOf = (before: unknown, after: unknown, sequence = '1') => ({
  Records: [
    {
      eventName: 'MODIFY',
      dynamodb: {
        SequenceNumber: sequence,
        ApproximateCreationDateTime: 1_790_000_000,
        Keys: {},
        ...(before === undefined ? {} : { OldImage: before }),
        NewImage: after,
      },
    },
  ],
});

/** The sum of all reservations of containers, and the free capacity of the hosts. */
const ledger = async (ids: readonly string[]) => {
  const containers = await Promise.all(ids.map((id) => world.container(id)));
  const reserved = containers.filter((one) => one?.reservation);
  const hosts = await Promise.all([...world.hosts.keys()].map((id) => world.host(id)));
  const free = hosts.reduce((sum, host) => sum + host.free.memoryMB, 0);
  const capacity = hosts.reduce((sum, host) => sum + host.view.facts.capacity.memoryMB, 0);
  const taken = reserved.reduce((sum, one) => sum + (one?.reservation?.memoryMB ?? 0), 0);
  return { reserved: reserved.length, taken, free, capacity, hosts };
};

describe('a host whose connection was closed', () => {
  const RECONNECT_MS = 5_000;

  test('gets no new containers once the time for a reconnect is over', async () => {
    const hosts = [await world.addHost(), await world.addHost()];
    for (const host of hosts) await world.connect(host);
    const [gone, there] = hosts;
    if (gone === undefined || there === undefined) throw new TypeError('no hosts');
    await world.disconnect(gone);
    world.clock.now += RECONNECT_MS + 1;
    for (let count = 0; count < 10; count += 1) {
      const made = await world.create({ began: false });
      await place(made);
      expect((await world.container(made.id))?.view.hostId).toBe(there.hostId);
    }
  });

  test('may reconnect within this time: it is chosen', async () => {
    const host = await world.addHost();
    await world.connect(host);
    await world.disconnect(host);
    world.clock.now += RECONNECT_MS;
    const made = await world.create({ began: false });
    await place(made);
    expect((await world.container(made.id))?.view.hostId).toBe(host.hostId);
  });

  test('is the reason for which an operation waits, and gets the container after it has reconnected', async () => {
    const host = await world.addHost();
    await world.connect(host);
    await world.disconnect(host);
    world.clock.now += RECONNECT_MS + 1;
    const made = await world.create({ began: false });
    await place(made);
    expect((await world.operation(made.operationId)).view.reason).toContain('its agent is not connected');
    await world.connect(host);
    await place(made);
    expect((await world.container(made.id))?.view.hostId).toBe(host.hostId);
  });

  test('still gets the commands of the containers that it has', async () => {
    const host = await world.addHost();
    await world.connect(host);
    const made = await world.create({ began: false });
    await place(made);
    await world.disconnect(host);
    world.clock.now += RECONNECT_MS + 1;
    const container = await world.container(made.id);
    const fit = await findHosts(world.deps, {
      container: container as ContainerRecord,
      need: (await readNeed(opened.table, {
        operation: await world.operation(made.operationId),
        container: container as ContainerRecord,
      })) as PlacementNeed,
    });
    expect(fit).toMatchObject({ kind: 'fit', hosts: [{ id: host.hostId }] });
  });
});

describe('capacity under parallel placement', () => {
  const SHARE = scaled({ ci: 20, whole: 100 });
  const [HOSTS, ROOM, ASKED, FREED] = [3, 3 * SHARE, 5 * SHARE, SHARE / 2];
  test(`${ASKED} in parallel with capacity for ${ROOM}: ${ASKED - ROOM} wait with a reason, and freed capacity admits them`, async () => {
    for (let count = 0; count < HOSTS; count += 1)
      await world.addHost({ capacity: { memoryMB: SHARE * 128, cpus: 100, diskMB: 1_048_576 } });
    const made = [];
    while (made.length < ASKED)
      made.push(...(await Promise.all(Array.from({ length: 50 }, () => world.create({ began: false })))));
    for (let at = 0; at < made.length; at += 50) await Promise.all(made.slice(at, at + 50).map(place));

    const ids = made.map(({ id }) => id);
    const full = await ledger(ids);
    expect(full).toMatchObject({ reserved: ROOM, taken: ROOM * 128, free: 0 });
    for (const host of full.hosts) expect(host.free.memoryMB).toBe(0);
    const operations = await Promise.all(made.map(({ operationId }) => world.operation(operationId)));
    const waiting = operations.filter(({ placeToken }) => placeToken !== null);
    expect(waiting).toHaveLength(ASKED - ROOM);
    for (const { view } of waiting) expect(view.reason).toContain('needs 128 MiB');
    for (const { view } of operations.filter(({ placeToken }) => placeToken === null))
      expect(view.reason).toBeNull();

    const admit = createAdmitWaitingHandler(world.deps);
    const [first] = full.hosts;
    if (first === undefined) throw new TypeError('no host');
    const before = await world.hostItem(first.id);
    const gone = (await Promise.all(ids.map((id) => world.container(id)))).filter(
      (one) => one?.view.hostId === first.id && one.reservation !== null,
    );
    for (const one of gone.slice(0, FREED)) {
      if (one?.reservation === null || one === undefined) continue;
      await world.table.transact([releaseCapacity(TENANT, first.id, one.reservation)]);
    }
    const answer = await admit(changeOf(before, await world.hostItem(first.id)));
    expect(answer).toEqual({ batchItemFailures: [] });
    const after = await ledger(ids);
    expect(after).toMatchObject({ reserved: ROOM + FREED, free: 0 });
    const still = (await Promise.all(made.map(({ operationId }) => world.operation(operationId)))).filter(
      ({ view }) => view.reason !== null,
    );
    expect(still).toHaveLength(ASKED - ROOM - FREED);
    // Oldest first, which is the order of the index.
    const admitted = waiting.filter(({ id }) => !still.some((one) => one.id === id)).map(({ id }) => id);
    const order = waiting
      .map(({ id, view }) => `${view.createdAt}#${id}`)
      .sort()
      .map((key) => key.split('#')[1]);
    expect(new Set(order.slice(0, FREED))).toEqual(new Set(admitted));
  }, 120_000);

  test('a smaller container is admitted before an older one that does not fit', async () => {
    const host = await world.addHost({ capacity: { memoryMB: 1000, cpus: 8, diskMB: 1_048_576 } });
    const holder = await world.create({ began: false, memoryMB: 900 });
    await place(holder);
    world.clock.now += 1;
    const large = await world.create({ memoryMB: 800 });
    world.clock.now += 1;
    const small = await world.create({ memoryMB: 200 });
    await world.tasks.run(world.handlers);
    expect((await world.operation(small.operationId)).view.reason).toContain('200 MiB');
    const before = await world.hostItem(host.hostId);
    await world.table.transact([releaseCapacity(TENANT, host.hostId, { memoryMB: 300, cpus: 0.5 })]);
    await createAdmitWaitingHandler(world.deps)(changeOf(before, await world.hostItem(host.hostId)));
    expect((await world.container(small.id))?.reservation).toEqual({ memoryMB: 200, cpus: 0.5 });
    expect((await world.container(large.id))?.reservation).toBeNull();
    expect(world.tasks.answers).toEqual([{ token: expect.any(String), kind: 'success' }]);
  });

  test('if the process that placed a container crashes before it answers, the sweeper answers', async () => {
    const waiter = await world.create();
    await world.tasks.run(world.handlers);
    expect((await world.operation(waiter.operationId)).view.reason).toContain('not in the catalogue');
    await world.addHost();
    await placeContainer(world.deps, inputOf(waiter));
    expect((await world.operation(waiter.operationId)).placeToken).not.toBeNull();
    expect(world.tasks.answers).toEqual([]);
    const host = [...world.hosts.values()][0];
    if (host === undefined) throw new TypeError('no host');
    await world.connect(host);
    world.clock.now += 31_000;
    await world.sweep();
    expect(world.tasks.answers).toHaveLength(1);
    await world.settle();
    expect((await world.container(waiter.id))?.view.state).toBe('Running');
  });

  test('a cancelled wait fails the step as cancelled, and reserves nothing', async () => {
    const waiter = await world.create();
    await world.tasks.run(world.handlers);
    const item = await world.table.get(keys.operation(TENANT, waiter.operationId));
    if (item?.view?.M === undefined) throw new TypeError('no operation');
    await world.table.put({ Item: { ...item, view: { M: { ...item.view.M, state: { S: 'Cancelling' } } } } });
    await world.addHost();
    await world.sweep();
    await world.tasks.run(world.handlers);
    expect((await world.operation(waiter.operationId)).view).toMatchObject({
      state: 'Cancelled',
      error: { code: 'operation-cancelled' },
    });
    expect(await world.container(waiter.id)).toMatchObject({
      reservation: null,
      view: { state: 'Failed', hostId: null, activeOperationId: null },
    });
  });
});

describe('the choice of a host', () => {
  test.each([
    ['a switch that no host has', { switchName: 'Lab' }, 'has no switch "Lab"'],
    ['a capacity larger than that of any host', { memoryMB: 100_000 }, 'MiB'],
    ['an unknown image', { image: 'nothing' }, 'not in the catalogue'],
  ])('%s: waits with a reason', async (_case, options, reason) => {
    await world.addHost();
    const made = await world.create(options);
    await world.tasks.run(world.handlers);
    expect((await world.operation(made.operationId)).view).toMatchObject({
      state: 'Running',
      reason: expect.stringContaining(reason),
    });
    expect((await world.container(made.id))?.reservation).toBeNull();
  });

  test('a container with a runtime type that no host has waits, with the reason', async () => {
    await world.addHost({ capabilities: { runtimeTypes: ['Default'], runtimeConversion: 'none' } });
    const made = await world.create({ runtimeType: 'HyperV' });
    await world.tasks.run(world.handlers);
    expect((await world.operation(made.operationId)).view.reason).toContain('cannot run HyperV');
  });

  test('only a host with the image is chosen, even among many others', async () => {
    for (let count = 0; count < 40; count += 1) await world.addHost({}, { images: false });
    const holder = await world.addHost();
    const made = await world.create();
    await world.tasks.run(world.handlers);
    expect((await world.container(made.id))?.view.hostId).toBe(holder.hostId);
  });

  test('a container with files on a host stays on that host', async () => {
    const home = await world.addHost({ capacity: { memoryMB: 256, cpus: 8, diskMB: 1_048_576 } });
    await world.connect(home);
    await world.settle();
    const off = await world.create({ start: false });
    await world.settle();
    const filler = await world.create({ memoryMB: 200, start: true });
    await world.settle();
    await world.addHost();
    const { operationId } = await world.begin(off.id, 'start');
    await world.tasks.run(world.handlers);
    expect((await world.operation(operationId)).view.reason).toContain('56 MiB');
    expect((await world.container(off.id))?.view).toMatchObject({ hostId: home.hostId, state: 'Starting' });
    expect((await world.container(filler.id))?.view.hostId).toBe(home.hostId);
  });

  test('a host with an outdated place in the index is repaired', async () => {
    const host = await world.addHost();
    const item = await world.hostItem(host.hostId);
    if (item === undefined) throw new TypeError('no host');
    const stale = { ...item, gsi2sk: { S: `05#${host.hostId}` } };
    await world.table.put({ Item: stale });
    await createAdmitWaitingHandler(world.deps)(changeOf(item, stale));
    expect((await world.hostItem(host.hostId))?.gsi2sk).toEqual(item.gsi2sk);
  });

  test('if the table reports conflicts on one host repeatedly, another host is tried', async () => {
    const [first, second] = [await world.addHost(), await world.addHost()];
    const conflicting = {
      send: async (command: unknown) => {
        if (command instanceof TransactWriteItemsCommand) {
          const key = command.input.TransactItems?.[0]?.Update?.Key?.pk?.S;
          if (key?.includes(first.hostId))
            throw new TransactionCanceledException({
              message: 'conflict',
              $metadata: {},
              CancellationReasons: [{ Code: 'TransactionConflict' }],
            });
        }
        return engine.client.send(command as never);
      },
    };
    const made = [];
    for (let count = 0; count < 4; count += 1) made.push(await world.create({ began: false }));
    const table = createTable({
      client: conflicting as never,
      tableName: opened.name,
      sleep: async () => undefined,
      random: Math.random,
    });
    for (const one of made)
      expect(await placeContainer({ ...world.deps, table }, inputOf(one))).toMatchObject({
        kind: 'placed',
        hostId: second.hostId,
      });
  });

  test.each([10, scaled({ ci: 1_000, whole: 10_000 })])(
    'costs at most 10 read units with %d hosts',
    async (count) => {
      const first = await world.addHost({}, { name: 'host-00000' });
      const record = await world.host(first.hostId);
      const ids = Array.from({ length: count - 1 }, () => randomUUID());
      const items = ids.flatMap((id, at) => {
        const view = { ...record.view, name: `host-${String(at).padStart(5, '0')}` };
        const free = { memoryMB: 256 + (at % 3800), cpus: 8, diskMB: 1_048_576 };
        return [hostItem({ ...record, id, view, free }), imageOnHostItem(TENANT, IMAGE, id)];
      });
      for (let at = 0; at < items.length; at += 25) {
        const puts = items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } }));
        await engine.client.send(new BatchWriteItemCommand({ RequestItems: { [opened.name]: puts } }));
      }
      const reads = new Set(['GetItem', 'BatchGetItem', 'Query']);
      const costs: number[] = [];
      for (let round = 0; round < 20; round += 1) {
        const made = await world.create({ began: false });
        world.consumed.reset();
        await place(made);
        costs.push(
          world.consumed
            .calls()
            .filter(({ operation }) => reads.has(operation))
            .reduce((sum, { units }) => sum + units, 0),
        );
        expect((await world.container(made.id))?.reservation).not.toBeNull();
      }
      expect(Math.max(...costs)).toBeLessThanOrEqual(10);
    },
    120_000,
  );
});
