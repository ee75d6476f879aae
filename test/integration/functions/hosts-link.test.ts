import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { imagesAfter } from '../../../agent/link/outgoing.ts';
import { MESSAGE_BYTES } from '../../../core/contract/agent/messages.ts';
import { parseHostLink } from '../../../store/host-links.ts';
import { indexes, keys } from '../../../store/keys.ts';
import { FACTS, freeDisk, IMAGE, openWorld, type World } from '../../helpers/control-plane-world.ts';
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

const link = async () => {
  const item = await world.table.get(keys.hostLink(TENANT, host.hostId), { consistent: true });
  if (item === undefined) throw new TypeError('no link');
  return parseHostLink(item);
};
const running = async (options: Parameters<World['create']>[0] = {}) => {
  const { id } = await world.create(options);
  await world.settle();
  return id;
};
const beat = async () => {
  host.heartbeat();
  await world.settle();
};
const readyIds = async () =>
  (
    await world.table.query({ index: 'gsi2', key: indexes.readyHosts(TENANT, 'linux'), sort: 'any' })
  ).items.map((item) => item.gsi2sk?.S);

describe('the cost of a host’s messages', () => {
  test('a heartbeat: one write unit, half a read unit, and no response', async () => {
    const id = await running();
    host.received.length = 0;
    world.consumed.reset();
    await beat();
    const calls = world.consumed.calls().filter(({ operation }) => operation === 'UpdateItem');
    expect(calls.map(({ units }) => units)).toEqual([1]);
    const reads = world.consumed.calls().slice(0, 2);
    expect(reads.map(({ operation, units }) => [operation, units])).toEqual([
      ['UpdateItem', 1],
      ['Query', 0.5],
    ]);
    expect(host.received).toEqual([]);
    expect((await world.container(id))?.view.state).toBe('Running');
  });

  test('a result, which ends its operation: at most eight write units', async () => {
    await world.create({ runtimeType: 'HyperV' });
    await world.tasks.run(world.handlers);
    const [said] = host.outbox.splice(0);
    if (said === undefined) throw new TypeError('nothing said');
    world.consumed.reset();
    await world.say(host, said);
    const writes = world.consumed.calls().filter(({ operation }) => operation !== 'GetItem');
    expect(writes.reduce((sum, { units }) => sum + units, 0)).toBeLessThanOrEqual(8);
    expect(said.action).toBe('result');
  });
});

describe('connections', () => {
  test('the newest connection has the link; the older one is closed, and its messages are ignored', async () => {
    const first = world.connectionOf(host);
    world.clock.now += 1000;
    const second = await world.connect(host);
    await world.settle();
    expect((await link()).connectionId).toBe(second);
    expect(world.closed).toEqual([first]);
    const seen = (await link()).lastSeenAt;
    world.clock.now += 1000;
    await world.message(
      world.eventOf(host, '$default', first ?? '', { action: 'heartbeat', inProgress: [] }),
    );
    expect((await link()).lastSeenAt).toBe(seen);
    await world.connection(world.eventOf(host, '$disconnect', first ?? ''));
    expect((await link()).connectionId).toBe(second);
    await world.connection(world.eventOf(host, '$disconnect', second));
    expect((await link()).connectionId).toBeNull();
  });

  test('a $connect that a newer one overtakes changes nothing', async () => {
    const late = world.eventOf(host, '$connect', 'late');
    world.clock.now += 1000;
    const newer = await world.connect(host);
    expect(await world.connection(late)).toEqual({ statusCode: 409 });
    expect((await link()).connectionId).toBe(newer);
  });

  test.each([
    [0, 'Update the agent.'],
    [2, 'Update the control plane.'],
  ])(
    'a hello of protocol version %i is refused in words, and its connection closed',
    async (protocol, advice) => {
      const connectionId = world.connectionOf(host) ?? '';
      const before = { link: await link(), host: await world.host(host.hostId) };
      host.received.length = 0;
      world.clock.now += 1000;
      const hello = { action: 'hello', messageId: 'h', protocol, shape: 'that this release cannot read' };
      const body = JSON.stringify(hello);
      expect(await world.message({ ...world.eventOf(host, '$default', connectionId), body })).toEqual({
        statusCode: 200,
      });
      expect(host.received).toEqual([
        {
          action: 'refused',
          messageId: 'h',
          detail: `The agent uses protocol version ${protocol}. The control plane accepts 1 to 1. ${advice}`,
        },
      ]);
      expect(world.closed).toEqual([connectionId]);
      expect({ link: await link(), host: await world.host(host.hostId) }).toEqual(before);
    },
  );

  test('a message that violates the contract is refused, and changes nothing', async () => {
    const connectionId = world.connectionOf(host) ?? '';
    const say = (body: string) => world.message({ ...world.eventOf(host, '$default', connectionId), body });
    world.consumed.reset();
    host.received.length = 0;
    for (const body of ['', '{', '[]', 'null', '{"action":"heartbeat"}', '{"action":"exec","messageId":"m"}'])
      expect(await say(body)).toEqual({ statusCode: 200 });
    expect(host.received.map(({ action }) => action)).toEqual(Array(6).fill('refused'));
    expect(host.received.at(-1)).toMatchObject({ messageId: 'm' });
    expect(world.consumed.total()).toBe(0);
    expect(await world.message({ requestContext: {} })).toEqual({ statusCode: 403 });
  });

  test('an unanswered command is sent again; a running one gets a task heartbeat', async () => {
    host.silentOn.add('startContainer');
    const { operationId } = await world.create();
    await world.settle();
    host.received.length = 0;
    await beat();
    expect(world.tasks.heartbeats).toHaveLength(1);
    expect(host.received).toEqual([]);
    host.inProgress.clear();
    host.silentOn.clear();
    await beat();
    expect((await world.operation(operationId)).view.state).toBe('Succeeded');
  });

  test('a leftover command of an ended operation is never sent', async () => {
    host.silentOn.add('startContainer');
    const { operationId } = await world.create();
    await world.settle();
    const [command] = await world.commandsOf(host.hostId);
    await world.handlers.settle(world.tasks.abort(operationId));
    if (command === undefined) throw new TypeError('no command');
    await world.table.put({ Item: command });
    host.inProgress.clear();
    host.silentOn.clear();
    host.received.length = 0;
    await beat();
    expect(host.received.filter(({ action }) => action === 'command')).toEqual([]);
    expect(await world.commandsOf(host.hostId)).toEqual([]);
    expect(host.running()).toEqual([]);
  });
});

describe('facts and images', () => {
  test('a change of capacity changes the free capacity by the difference', async () => {
    await running();
    host.facts = {
      ...FACTS,
      capacity: { memoryMB: 8192, cpus: 4, diskMB: 1_048_576 },
      switches: ['NAT', 'Lab'],
    };
    host.hello();
    await world.settle();
    const { free, view } = await world.host(host.hostId);
    expect(free).toEqual({ memoryMB: 8192 - 128, cpus: 3.5, diskMB: freeDisk(1) });
    expect(view.facts.switches).toEqual(['NAT', 'Lab']);
    const before = (await world.host(host.hostId)).revision;
    host.hello();
    await world.settle();
    expect((await world.host(host.hostId)).revision).toBe(before);
  });

  test('new images are catalogued, and missing ones are no longer on the host', async () => {
    host.images = [{ ...IMAGE, name: 'other' }];
    host.hello();
    await world.settle();
    expect(await world.table.get(keys.image(TENANT, 'Other'))).toBeDefined();
    expect(await world.table.get(keys.imageOnHost(TENANT, 'other', host.hostId))).toBeDefined();
    expect(await world.table.get(keys.imageOnHost(TENANT, 'mini', host.hostId))).toBeUndefined();
    expect(await world.table.get(keys.image(TENANT, 'mini'))).toBeDefined();
  });

  test('1,000 images in several messages are all catalogued, and images outside a message’s range stay unchanged', async () => {
    const named = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...IMAGE,
        name: `Ateam/Image-${String(index).padStart(4, '0')}`,
        source: 'registry.example/team'.padEnd(200, 'x'),
      }));
    const isHeld = async (name: string) =>
      (await world.table.get(keys.imageOnHost(TENANT, name, host.hostId), { consistent: true })) !==
      undefined;
    const tell = async (all: ReturnType<typeof named>, stale: boolean) => {
      let count = 0;
      for (let after: string | null | undefined = null; after !== undefined; count += 1) {
        const part = imagesAfter(all, after);
        const message = { action: 'observed' as const, messageId: randomUUID(), observed: [], ...part };
        expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(MESSAGE_BYTES);
        await world.say(host, message);
        after = part.imageRange?.through ?? undefined;
        if (after !== undefined) expect(await isHeld('mini')).toBe(stale);
      }
      return count;
    };
    expect(await tell(named(1000), true)).toBeGreaterThan(2);
    expect(await isHeld('mini')).toBe(false);
    for (const { name } of named(1000)) expect([name, await isHeld(name)]).toEqual([name, true]);
    await tell([...named(400), ...named(1000).slice(600)], false);
    for (const index of [399, 600]) expect(await isHeld(named(1000)[index]?.name ?? '')).toBe(true);
    for (const index of [400, 599]) expect(await isHeld(named(1000)[index]?.name ?? '')).toBe(false);
  });
});

describe('the actual state', () => {
  test('a main process that ends leaves the container Off with its exit code, and its reservation is released', async () => {
    const id = await running();
    host.exit(id, 3);
    await world.settle(2);
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      view: { state: 'Off', exitCode: 3 },
    });
    expect(await world.computeProcess(id)).toBeUndefined();
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(1) });
  });

  test('a container with autoRemove is removed when it has ended', async () => {
    const id = await running({ autoRemove: true });
    host.exit(id, 0);
    await world.settle();
    expect(await world.container(id)).toBeUndefined();
    expect(host.containers.size).toBe(0);
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 4096, cpus: 8, diskMB: freeDisk(0) });
  });

  test('a report that an operation has overtaken changes nothing', async () => {
    const id = await running();
    host.exit(id, 1);
    const [late] = host.outbox.splice(0);
    if (late === undefined) throw new TypeError('nothing said');
    await world.begin(id, 'restart');
    await world.settle();
    await world.say(host, late);
    expect((await world.container(id))?.view.state).toBe('Running');
  });

  test('a host can report only on its own containers', async () => {
    const id = await running();
    const other = await world.addHost();
    await world.connect(other);
    await world.settle();
    const observed = { ...host.containers.get(id), phase: 'Off' as const, sequence: 99 };
    await world.say(other, { action: 'observed', messageId: 'x', observed: [observed as never] });
    expect((await world.container(id))?.view.state).toBe('Running');
    host.silentOn.add('stopContainer');
    const { operationId } = await world.begin(id, 'stop');
    await world.tasks.run(world.handlers);
    await world.say(other, {
      action: 'result',
      messageId: 'y',
      result: { commandId: `${operationId}:StopContainer:2`, steps: [], status: 'succeeded', observed: null },
    });
    expect((await world.operation(operationId)).view.state).toBe('Running');
    expect((await world.commandsOf(host.hostId))[0]?.state?.S).toBe('pending');
  });

  test('a container that is missing from an inventory is lost once it has been unchanged for a while, and stays on its host', async () => {
    const id = await running();
    host.containers.clear();
    host.hello();
    await world.settle();
    expect((await world.container(id))?.view.state).toBe('Running');
    world.clock.now += 60_000;
    await beat();
    expect(await world.container(id)).toMatchObject({
      reservation: null,
      view: { state: 'Failed', hostId: host.hostId, lastError: { code: 'host-lost' } },
    });
  });

  test('no container counts as missing from a partial inventory', async () => {
    const id = await running();
    host.containers.clear();
    world.clock.now += 60_000;
    host.hello();
    const [hello] = host.outbox.splice(0);
    if (hello?.action !== 'hello') throw new TypeError('no hello');
    await world.say(host, { ...hello, partial: true });
    expect((await world.container(id))?.view.state).toBe('Running');
  });

  test('an orphan is removed if it is still on the host after a minute', async () => {
    const { id, operationId } = await world.create({ start: false });
    await world.settle();
    const orphan = host.containers.get(id);
    if (orphan === undefined) throw new TypeError('no container');
    await world.begin(id, 'remove');
    await world.settle();
    expect(operationId).toBeDefined();
    host.containers.set(id, orphan);
    host.hello();
    await world.settle();
    expect(Object.keys((await link()).orphans)).toEqual([id]);
    world.clock.now += 30_000;
    await beat();
    expect(host.containers.has(id)).toBe(true);
    world.clock.now += 31_000;
    await beat();
    expect(host.containers.has(id)).toBe(false);
    world.clock.now += 60_000;
    await beat();
    expect(await link()).toMatchObject({ orphans: {}, recheck: false });
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('a container that runs without a reservation gets one if it fits, and is stopped otherwise', async () => {
    const { id } = await world.create({ start: false, memoryMB: 512 });
    await world.settle();
    const off = host.containers.get(id);
    if (off === undefined) throw new TypeError('no container');
    const stray = { ...off, phase: 'Running' as const, startedAt: '2026-11-24T09:00:02.000Z', sequence: 500 };
    host.containers.set(id, stray);
    host.hello();
    await world.settle();
    expect(await world.container(id)).toMatchObject({
      reservation: { memoryMB: 512 },
      view: { state: 'Running' },
    });
    const full = await running({ memoryMB: 3500 });
    await world.begin(id, 'stop');
    await world.settle();
    await running({ memoryMB: 300 });
    host.containers.set(id, { ...stray, sequence: 600 });
    host.hello();
    await world.settle();
    expect(host.containers.get(id)?.phase).toBe('Off');
    expect(await world.container(id)).toMatchObject({ reservation: null, view: { state: 'Off' } });
    expect((await world.container(full))?.view.state).toBe('Running');
    expect((await world.host(host.hostId)).free.memoryMB).toBe(4096 - 3500 - 300);
  });
});

describe('the cost of a sweep', () => {
  const linksRead = async () => {
    world.consumed.reset();
    await world.sweep();
    const reads = world.consumed.calls().filter(({ operation }) => operation === 'BatchGetItem');
    return reads.reduce((sum, { units }) => sum + units, 0);
  };

  test('half a read unit for a connected host, once per lease', async () => {
    expect(await linksRead()).toBe(0.5);
    expect(await linksRead()).toBe(0);
    world.clock.now += 100_000;
    await beat();
    expect(await linksRead()).toBe(0);
    world.clock.now += 51_000;
    expect(await linksRead()).toBe(0.5);
    expect((await world.host(host.hostId)).view.state).toBe('Ready');
  });

  test('of a silent host: its link and the host itself, each time', async () => {
    world.clock.now += 200_000;
    expect(await linksRead()).toBe(1);
    expect((await world.host(host.hostId)).view.state).toBe('Unknown');
    expect(await linksRead()).toBe(1);
  });
});

describe('a silent host', () => {
  test('is Unknown with its containers after the lease; when it is back, its reports are authoritative', async () => {
    const id = await running();
    const quiet = await running();
    world.clock.now += 100_000;
    await world.sweep();
    expect((await world.host(host.hostId)).view.state).toBe('Ready');
    world.cut(host);
    world.clock.now += 100_000;
    await world.sweep();
    expect((await world.host(host.hostId)).view.state).toBe('Unknown');
    expect(await readyIds()).toEqual([]);
    expect(await world.container(id)).toMatchObject({
      reservation: { memoryMB: 128 },
      view: { state: 'Unknown', hostId: host.hostId },
    });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 3840, cpus: 7, diskMB: freeDisk(2) });
    const before = await world.container(id);
    await world.sweep();
    expect(await world.container(id)).toEqual(before);

    host.exit(quiet, 9);
    host.outbox.length = 0;
    await world.connect(host);
    await world.settle();
    expect((await world.host(host.hostId)).view.state).toBe('Ready');
    expect((await world.container(id))?.view.state).toBe('Running');
    expect((await world.container(quiet))?.view).toMatchObject({ state: 'Off', exitCode: 9 });
    expect((await world.host(host.hostId)).free).toEqual({ memoryMB: 3968, cpus: 7.5, diskMB: freeDisk(2) });
    expect((await link()).silent).toBe(false);
  });

  test('is Ready again after a heartbeat over the same connection', async () => {
    const id = await running();
    world.clock.now += 200_000;
    await world.sweep();
    expect((await world.container(id))?.view.state).toBe('Unknown');
    await beat();
    expect((await world.host(host.hostId)).view.state).toBe('Ready');
    expect((await world.container(id))?.view.state).toBe('Running');
    expect(await readyIds()).toHaveLength(1);
  });

  test('that reconnects quickly changes nothing', async () => {
    const id = await running();
    const before = await world.container(id);
    await world.connection(world.eventOf(host, '$disconnect', world.connectionOf(host) ?? ''));
    await world.sweep();
    await world.connect(host);
    await world.settle();
    expect(await world.container(id)).toEqual(before);
  });
});
