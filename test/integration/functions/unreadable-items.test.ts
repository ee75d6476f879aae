import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandArguments } from '../../../core/contract/agent/commands.ts';
import { eventOf } from '../../../functions/process-changes/event-of.ts';
import { eachRecord } from '../../../functions/shared/stream-event.ts';
import { containerItem, parseContainer } from '../../../store/containers.ts';
import type { Item } from '../../../store/item.ts';
import { createItem, UnreadableItemError } from '../../../store/item-format.ts';
import { type Key, keys } from '../../../store/keys.ts';
import type { Table } from '../../../store/table.ts';
import { createApi } from '../../helpers/api.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { containerRecord, TENANT, testId } from '../../helpers/records.ts';

/** One unreadable item must neither block work on other items nor be skipped silently. */

let engine: Engine;
let unreadable: unknown[];
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(() => {
  unreadable = [];
});

const openTable = () => engine.table({ onUnreadable: (error) => unreadable.push(error) });

const SECRET = 'hunter2';

/** Gives a member of the item's view a wrong type. */
const spoil = async (table: Table, key: Key, member = 'createdAt'): Promise<void> => {
  const item = await table.get(key, { consistent: true });
  if (item === undefined) throw new TypeError('no such item');
  await table.put({ Item: spoiled(item, member) });
};
const spoiled = (item: Item, member: string): Item => ({
  ...item,
  view: { M: { ...item.view?.M, [member]: { L: [{ S: SECRET }] } } },
});

describe('the API', () => {
  const setUp = async () => {
    const { table } = await openTable();
    const api = createApi(table);
    for (const number of [1, 2]) {
      const container = containerRecord('Off', { number });
      await table.put({ Item: containerItem(container) });
      await table.put({
        Item: createItem('containerName', keys.containerName(TENANT, container.view.name), {
          containerId: container.id,
        }),
      });
    }
    await spoil(table, keys.container(TENANT, testId(1)));
    return api;
  };

  test('a list with an unreadable container fails with an internal error, and the log names item and member', async () => {
    const api = await setUp();
    const { status, body } = await api.call('listContainers');
    expect([status, body.code]).toEqual([500, 'internal']);
    expect(JSON.stringify(body)).not.toContain(testId(1));
    const logged = api.lines.join('\n');
    expect(logged).toContain(`The container item ${keys.container(TENANT, testId(1)).pk} / C cannot be read`);
    expect(logged).toContain('view.createdAt');
    expect(logged).not.toContain(SECRET);
  });

  test('another container can still be read and removed, by id and by name', async () => {
    const api = await setUp();
    const params = { idOrName: 'container-2' };
    expect((await api.call('getContainer', { params: { idOrName: testId(2) } })).status).toBe(200);
    expect((await api.call('removeContainer', { params })).status).toBe(202);
    expect((await api.call('getContainer', { params: { idOrName: testId(1) } })).status).toBe(500);
  });

  test('an item of another version results in an error with a suggestion', async () => {
    const { table } = await openTable();
    const api = createApi(table);
    const { v: _, ...older } = containerItem(containerRecord('Off'));
    await table.put({ Item: older });
    const { status, body } = await api.call('getContainer', { params: { idOrName: testId(1) } });
    expect([status, body.code]).toEqual([500, 'internal']);
    expect(body.detail).toContain('This table was written by another version of Bulkhead');
  });
});

describe('a host', () => {
  let world: World;
  let host: FakeHost;
  beforeEach(async () => {
    world = openWorld(await openTable());
    host = await world.addHost();
    await world.connect(host);
    await world.settle();
  });

  test('keeps a container whose item cannot be read, because it is not an orphan', async () => {
    const kept = await world.create();
    const other = await world.create();
    await world.settle();
    await spoil(world.table, keys.container(TENANT, kept.id));
    host.exit(other.id, 7);
    for (let minutes = 0; minutes < 4; minutes += 1) {
      world.clock.now += 60_000;
      await world.connect(host);
      await world.settle();
    }
    expect(host.containers.has(kept.id)).toBe(true);
    expect(await world.container(other.id)).toMatchObject({ view: { state: 'Off', exitCode: 7 } });
    expect(unreadable).toContainEqual(expect.objectContaining({ entity: 'container' }));
  });

  test('gets its other commands if one cannot be read', async () => {
    const write = (id: string, content: object) =>
      world.table.put({ Item: createItem('command', keys.command(TENANT, host.hostId, id), content) });
    await write('a-unreadable', { state: 'pending', expiresAt: world.clock.now + 60_000, taskToken: 5 });
    const args: CommandArguments = { verb: 'listHostProcesses' };
    const command = { containerId: null, epoch: 0, ttlSeconds: 60, arguments: args };
    const content = { state: 'pending', expiresAt: world.clock.now + 60_000, command };
    await write('b-readable', content);
    host.received.length = 0;
    host.heartbeat();
    await world.settle();
    expect(host.received.filter(({ action }) => action === 'command')).toHaveLength(1);
    expect(unreadable).toEqual([expect.objectContaining({ entity: 'command', members: ['taskToken'] })]);
  });

  test('that cannot be read gets no containers, but another host gets them', async () => {
    await spoil(world.table, keys.host(TENANT, host.hostId), 'agentVersion');
    const second = await world.addHost();
    await world.connect(second);
    await world.settle();
    const { id } = await world.create();
    await world.settle();
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', hostId: second.hostId });
  });
});

describe('the stream', () => {
  const record = (sequence: string, NewImage: Item) => ({
    eventName: 'INSERT',
    dynamodb: {
      SequenceNumber: sequence,
      ApproximateCreationDateTime: 1,
      Keys: { pk: NewImage.pk, sk: NewImage.sk },
      NewImage,
    },
  });

  test('a record with an unreadable item is reported and skipped, and is not delivered again', async () => {
    const first = spoiled(containerItem(containerRecord('Off')), 'state');
    const second = containerItem(containerRecord('Off', { number: 2 }));
    const events: unknown[] = [];
    const failures: unknown[] = [];
    const answer = await eachRecord(
      { Records: [record('1', first), record('2', second)] },
      async (change) => void events.push(eventOf(change)?.event.resource.id),
      (sequence, error) => failures.push([sequence, error]),
    );
    expect(answer).toEqual({ batchItemFailures: [] });
    expect(events).toEqual([testId(2)]);
    expect(failures).toEqual([['1', expect.any(UnreadableItemError)]]);
  });
});

test('labels and variables can have the names of members of every object', () => {
  const record = containerRecord('Off', {
    view: { labels: { constructor: 'a', toString: 'b', valueOf: 'c' } },
  });
  const env = { constructor: 'a', hasOwnProperty: 'b' };
  const named = { ...record, view: { ...record.view, spec: { ...record.view.spec, env } } };
  expect(parseContainer(containerItem(named))).toMatchObject({
    view: { labels: record.view.labels, spec: { env } },
  });
});
