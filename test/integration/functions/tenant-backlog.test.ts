import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createAdmitWaitingHandler } from '../../../functions/admit-waiting/handler.ts';
import { createSweepHandler } from '../../../functions/sweep/handler.ts';
import { containerItem } from '../../../store/containers.ts';
import type { HostLinkRecord } from '../../../store/host-links.ts';
import { type HostRecord, hostItem, parseHost } from '../../../store/hosts.ts';
import { imageItem, imageOnHostItem } from '../../../store/images.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { operationItem, parseOperation } from '../../../store/operations.ts';
import type { Table } from '../../../store/table.ts';
import { takeTurns } from '../../../workflow/waiting/take-turns.ts';
import { FACTS, IMAGE, openWorld } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { AT, TENANT } from '../../helpers/records.ts';

/** The other tenant, whose name sorts after the name of the tenant with the backlog. */
const OTHER = 'zeta';

let engine: Engine;
let world: ReturnType<typeof openWorld>;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
});

/** Makes each call of the table take that long on the world's clock. Calls for which `fails` returns true fail. */
const slow = (milliseconds: number, fails: (input: unknown) => boolean = () => false) => {
  let calls = 0;
  const table = new Proxy(world.table, {
    get: (target, name) => {
      const member = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...given: readonly unknown[]) => {
        calls += 1;
        world.clock.now += milliseconds;
        if (fails(given)) throw new TypeError('no answer');
        return Reflect.apply(member, target, given);
      };
    },
  });
  return { table: table as Table, calls: () => calls };
};

const ascending = () => {
  let at = 0;
  return () => {
    at += 0.001;
    return at % 1;
  };
};
const descending = () => {
  const next = ascending();
  return () => 0.999 - next();
};
/** A linear congruential generator, with the same numbers in each run. */
const seeded = () => {
  let state = 7;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
};
const ORDERS = [
  ['first', ascending],
  ['last', descending],
] as const;

const record = (before: unknown, after: unknown, sequence: string) => ({
  eventName: 'MODIFY',
  dynamodb: {
    SequenceNumber: sequence,
    ApproximateCreationDateTime: 1_790_000_000,
    Keys: { pk: { S: sequence } },
    ...(before === undefined ? {} : { OldImage: before }),
    NewImage: after,
  },
});

/** Adds operations of the first tenant, each with a different requirement that no host meets. */
const addBacklog = async (count: number): Promise<void> => {
  for (let at = 0; at < count; at += 1) await wait(100_000 + at);
};

const wait = async (memoryMB: number): Promise<string> => {
  const { id, operationId } = await world.create({ began: false, memoryMB });
  world.clock.now += 1;
  const step = { tenant: TENANT, operationId, containerId: id, epoch: 1, step: 'Place' } as const;
  await world.handlers.place({ ...step, taskToken: `token-${operationId}` });
  return operationId;
};

const addLink = async (hostId: string): Promise<void> => {
  const link: Omit<HostLinkRecord, 'tenant' | 'hostId'> = {
    connectionId: null,
    droppedAt: null,
    lastSeenAt: world.clock.now,
    connectedAt: world.clock.now,
    silent: false,
    recheck: false,
    orphans: {},
  };
  await world.table.put({ Item: createItem('hostLink', keys.hostLink(OTHER, hostId), link) });
};

const otherHost = async (over: Partial<HostRecord['view']> = {}): Promise<string> => {
  const id = randomUUID();
  const view = { name: 'other', facts: FACTS, labels: {}, schedulable: true, agentVersion: '1', ...over };
  const host = { tenant: OTHER, id, revision: 1, free: FACTS.capacity, publicKey: 'x', actor: 'bob' };
  await world.table.put({ Item: hostItem({ ...host, view: { state: 'Ready', ...view } }) });
  const image = { tenant: OTHER, revision: 1, actor: 'bob', view: { ...IMAGE, createdAt: AT } };
  await world.table.put({ Item: imageItem(image) });
  await world.table.put({ Item: imageOnHostItem(OTHER, IMAGE, id) });
  await addLink(id);
  return id;
};

/** A waiting operation of the other tenant, although one of its hosts has free capacity. */
const otherWaiter = async (): Promise<string> => {
  const { id, operationId } = await world.create({ began: false });
  const [container, operation] = [await world.container(id), await world.operation(operationId)];
  if (container === undefined) throw new TypeError('no container');
  const view = { ...operation.view, state: 'Running' as const, reason: 'waiting for capacity' };
  await world.table.put({ Item: containerItem({ ...container, tenant: OTHER }) });
  await world.table.put({ Item: operationItem({ ...operation, tenant: OTHER, placeToken: 'other', view }) });
  return operationId;
};

const reasonOf = async (tenant: string, operationId: string): Promise<string | null> => {
  const item = await world.table.get(keys.operation(tenant, operationId), { consistent: true });
  if (item === undefined) throw new TypeError('no operation');
  return parseOperation(item).view.reason;
};
const otherState = async (hostId: string) => {
  const item = await world.table.get(keys.host(OTHER, hostId), { consistent: true });
  return item && parseHost(item).view.state;
};
const said = (text: string) => world.lines.filter((line) => line.includes(text)).length;

describe('waiting operations of several tenants', () => {
  test.each(ORDERS)('in one delivery, the backlog %s: the other tenant is served', async (_order, random) => {
    const host = await world.addHost();
    await addBacklog(30);
    const hostId = await otherHost();
    const waiter = await otherWaiter();
    const records = [
      record(undefined, await world.hostItem(host.hostId), '1'),
      record(undefined, await world.table.get(keys.host(OTHER, hostId)), '2'),
    ];
    const deps = { ...world.deps, table: slow(300).table, random: random() };
    const answer = await createAdmitWaitingHandler(deps)({ Records: records });
    expect(answer).toEqual({ batchItemFailures: [] });
    expect(said('waiting operations left to the sweep')).toBe(1);
    expect(await reasonOf(OTHER, waiter)).toBeNull();
  });

  test.each(ORDERS)('in one sweep, the backlog %s: the other tenant is served', async (_order, random) => {
    const host = await world.addHost();
    await world.connect(host);
    await addBacklog(30);
    await otherHost();
    const waiter = await otherWaiter();
    const deps = { ...world.deps, table: slow(300).table, random: random() };
    await createSweepHandler({ ...deps, leaseSeconds: 10_000 })();
    expect(said('more operations wait than one sweep can try')).toBe(1);
    expect(await reasonOf(OTHER, waiter)).toBeNull();
  });

  test('a tenant whose list cannot be read does not end the sweep', async () => {
    await world.addHost();
    await otherHost();
    const waiter = await otherWaiter();
    const { table } = slow(0, (input) => JSON.stringify(input).includes(`"T#${TENANT}#W"`));
    await createSweepHandler({ ...world.deps, table, random: ascending() })();
    expect(said('waiting operations could not be tried')).toBe(1);
    expect(await reasonOf(OTHER, waiter)).toBeNull();
  });

  test('behind a backlog of the same tenant that never fits, an operation is admitted eventually', async () => {
    await addBacklog(60);
    const last = await wait(128);
    await world.connect(await world.addHost());
    const sweep = createSweepHandler({
      ...world.deps,
      table: slow(300).table,
      random: seeded(),
      leaseSeconds: 100_000,
    });
    let sweeps = 0;
    while (sweeps < 50 && (await reasonOf(TENANT, last)) !== null) {
      await sweep();
      sweeps += 1;
    }
    expect(await reasonOf(TENANT, last)).toBeNull();
    expect(said('more operations wait than one sweep can try')).toBe(sweeps);
  });
});

describe('a change of a host that may let more containers fit', () => {
  const callsFor = async (change: (host: HostRecord) => HostRecord): Promise<number> => {
    const { hostId } = await world.addHost();
    await addBacklog(1);
    const host = await world.host(hostId);
    const before = { ...host, view: { ...host.view, labels: { zone: 'a' } } };
    const after = change({ ...before, revision: before.revision + 1 });
    const { table, calls } = slow(0);
    await createAdmitWaitingHandler({ ...world.deps, table })({
      Records: [record(hostItem(before), hostItem(after), '1')],
    });
    return calls();
  };

  test.each([
    ['a label that is removed', (host: HostRecord) => ({ ...host, view: { ...host.view, labels: {} } })],
    [
      'a new version of the agent',
      (host: HostRecord) => ({ ...host, view: { ...host.view, agentVersion: '2' } }),
    ],
  ])('%s does not', async (_case, change) => {
    expect(await callsFor(change)).toBe(0);
  });

  test.each([
    [
      'a label with another value',
      (host: HostRecord) => ({ ...host, view: { ...host.view, labels: { zone: 'b' } } }),
    ],
    [
      'a switch',
      (host: HostRecord) => ({
        ...host,
        view: { ...host.view, facts: { ...FACTS, switches: ['NAT', 'Lab'] } },
      }),
    ],
  ])('%s does', async (_case, change) => {
    expect(await callsFor(change)).toBeGreaterThan(0);
  });
});

describe('silent hosts of several tenants', () => {
  test.each(ORDERS)(
    'many of one tenant, %s: the host of the other tenant is marked too',
    async (_order, random) => {
      for (let count = 0; count < 120; count += 1) await world.addHost({}, { images: false });
      const hostId = await otherHost();
      world.clock.now += 200_000;
      await createSweepHandler({ ...world.deps, table: slow(300).table, random: random() })();
      const states = await Promise.all([...world.hosts.keys()].map((id) => world.host(id)));
      expect(states.filter(({ view }) => view.state === 'Ready').length).toBeGreaterThan(0);
      expect(await otherState(hostId)).toBe('Unknown');
    },
  );

  test('large facts, labels and orphans of one tenant are not read with the hosts of all tenants', async () => {
    const text = (length: number) => Array.from({ length }, (_, at) => `${'x'.repeat(55)}${at}`);
    const many = 10;
    for (let count = 0; count < many; count += 1) {
      const { hostId } = await world.addHost({ switches: text(900) }, { images: false });
      const orphans = Object.fromEntries(text(900).map((id) => [id, 1]));
      const link = { connectionId: null, lastSeenAt: world.clock.now, orphans };
      await world.table.put({ Item: createItem('hostLink', keys.hostLink(TENANT, hostId), link) });
    }
    const hostId = await otherHost();
    world.clock.now += 200_000;
    let bytes = 0;
    const count = <T>(read: T): T => {
      bytes += JSON.stringify(read).length;
      return read;
    };
    const table: Table = {
      ...world.table,
      query: async (options) =>
        options.index === 'gsi4' && options.key.pk.startsWith('HOSTS#')
          ? count(await world.table.query(options))
          : world.table.query(options),
      batchGet: async (...given) => count(await world.table.batchGet(...given)),
    };
    await createSweepHandler({ ...world.deps, table })();
    expect(bytes / (many + 1)).toBeLessThan(1_000);
    expect(await otherState(hostId)).toBe('Unknown');
  });

  test('a newly silent host is processed before those that are already Unknown', async () => {
    for (let count = 0; count < 120; count += 1) {
      const { hostId } = await world.addHost({}, { images: false });
      const host = await world.host(hostId);
      await world.table.put({ Item: hostItem({ ...host, view: { ...host.view, state: 'Unknown' } }) });
    }
    const { hostId } = await world.addHost();
    world.clock.now += 200_000;
    await createSweepHandler({ ...world.deps, table: slow(300).table, random: ascending() })();
    expect((await world.host(hostId)).view.state).toBe('Unknown');
  });
});

describe('tenants that take turns', () => {
  test('each get an equal share of the remaining time', async () => {
    let at = 0;
    const shares: number[] = [];
    const turns = { end: 1000, now: () => new Date(at), random: ascending() };
    await takeTurns(['greedy', 'quick', 'greedy', 'last'], turns, async (one, until) => {
      shares.push(until - at);
      at = one === 'greedy' ? until : at + 50;
    });
    expect(shares).toEqual([250, 250, 350, 350]);
  });
});
