import { randomUUID } from 'node:crypto';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mockClient } from 'aws-sdk-client-mock';
import { BusEventDetailSchema, type Event, EventSchema } from '../../../core/contract/event.ts';
import { createProcessChangesHandler } from '../../../functions/process-changes/handler.ts';
import { createPublish } from '../../../functions/process-changes/publish.ts';
import { createLogger } from '../../../functions/shared/observability/logger.ts';
import { type ContainerRecord, containerItem } from '../../../store/containers.ts';
import { eventsOf, parseEntry } from '../../../store/event-log.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem } from '../../../store/images.ts';
import type { Item } from '../../../store/item.ts';
import { keys } from '../../../store/keys.ts';
import { type OperationRecord, operationItem } from '../../../store/operations.ts';
import { openWorld } from '../../helpers/control-plane-world.ts';
import { type Engine, type EngineTable, startEngine } from '../../helpers/dynoxide.ts';
import { AT, imageRecord, TENANT } from '../../helpers/records.ts';

let engine: Engine;
let opened: EngineTable;
let container: ContainerRecord;
let operation: OperationRecord;
let hostBefore: Item;
interface Published {
  readonly tenant: string;
  readonly event: Event;
}
const published: Published[] = [];
const started: string[] = [];
const answered: { readonly token: string; readonly output: unknown }[] = [];
let busTakes = true;
const now = () => new Date(AT);

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  opened = await engine.table();
  published.length = 0;
  started.length = 0;
  answered.length = 0;
  busTakes = true;
  const world = openWorld(opened);
  const made = await world.create({ began: false });
  const read = await world.container(made.id);
  if (read === undefined) throw new TypeError('no container');
  container = read;
  operation = made.operation;
  const host = await world.addHost();
  hostBefore = hostItem(await world.host(host.hostId));
});

const handler = () =>
  createProcessChangesHandler({
    table: opened.table,
    publish: async (records) => {
      if (!busTakes) return records;
      published.push(...records);
      return [];
    },
    startWorkflow: async ({ id }) => {
      started.push(id);
      return 'started';
    },
    tasks: {
      succeed: async (token, output) => {
        answered.push({ token, output });
        return 'delivered';
      },
    },
    logger: createLogger({ level: 'error', now, write: () => undefined }),
    now,
  });

/** An item in a stream record: bytes are in base64. */
const inJson = (item: Item): unknown =>
  JSON.parse(
    JSON.stringify(item, (_name, value) =>
      value?.B instanceof Uint8Array ? { B: Buffer.from(value.B).toString('base64') } : value,
    ),
  );

let sequence = 0;
const record = (before: Item | undefined, after: Item | undefined) => {
  sequence += 1;
  const item = after ?? before;
  return {
    eventName: before === undefined ? 'INSERT' : after === undefined ? 'REMOVE' : 'MODIFY',
    dynamodb: {
      SequenceNumber: String(sequence),
      ApproximateCreationDateTime: Date.parse(AT) / 1000,
      Keys: { pk: item?.pk, sk: item?.sk },
      ...(before && { OldImage: inJson(before) }),
      ...(after && { NewImage: inJson(after) }),
    },
  };
};
const changed = (view: Partial<ContainerRecord['view']>, actor = 'bob'): ContainerRecord => ({
  ...container,
  revision: container.revision + 1,
  actor,
  view: { ...container.view, ...view },
});
const stored = async () => (await opened.table.query({ key: keys.event(TENANT, '') })).items;
const events = async () => (await stored()).map(parseEntry).flatMap(eventsOf);

describe('events', () => {
  test('there is one for each mutation, with its actor, in order; a repeated record adds none', async () => {
    const running = changed({ state: 'Running' });
    const labelled = { ...running, revision: 3, view: { ...running.view, labels: { a: 'b' } } };
    const batch = {
      Records: [
        record(undefined, containerItem(container)),
        record(containerItem(container), containerItem(running)),
        record(containerItem(running), containerItem(labelled)),
        record(containerItem(labelled), undefined),
      ],
    };
    expect(await handler()(batch)).toEqual({ batchItemFailures: [] });
    await handler()(batch);
    const listed = await events();
    expect(
      listed.map(({ type, revision, previousState, state, actor }) => [
        type,
        revision,
        previousState,
        state,
        actor,
      ]),
    ).toEqual([
      ['Container Created', 1, null, 'Starting', 'ann'],
      ['Container State Changed', 2, 'Starting', 'Running', 'bob'],
      ['Container Updated', 3, 'Running', 'Running', 'bob'],
      ['Container Removed', 4, 'Running', null, 'bob'],
    ]);
    for (const event of listed) expect(() => EventSchema.parse(event)).not.toThrow();
    for (const { tenant, event } of published)
      expect(() => BusEventDetailSchema.parse({ tenant, ...event })).not.toThrow();
    expect(new Set(published.map(({ event }) => event.id)).size).toBe(4);
  });

  test('a change without a revision, such as free capacity of a host, causes none', async () => {
    const after = { ...hostBefore, free: { M: { memoryMB: { N: '1' }, cpus: { N: '1' } } } };
    await handler()({ Records: [record(hostBefore, after)] });
    expect(await events()).toEqual([]);
    await handler()({ Records: [record(undefined, hostBefore)] });
    await handler()({ Records: [record(undefined, imageItem(imageRecord('mini')))] });
    expect((await events()).map(({ type }) => type)).toEqual(['Host Enrolled', 'Image Added']);
  });

  test('steps and reasons of an operation cause none, but its states do', async () => {
    const waiting = { ...operation, revision: 2, view: { ...operation.view, reason: 'waits' } };
    const failed = { ...waiting, revision: 3, view: { ...waiting.view, state: 'Failed' as const } };
    await handler()({
      Records: [
        record(operationItem(operation), operationItem(waiting)),
        record(operationItem(waiting), operationItem(failed)),
      ],
    });
    expect((await events()).map(({ type, state }) => [type, state])).toEqual([
      ['Operation State Changed', 'Failed'],
    ]);
  });

  test('of a container have its image, and the end of its main process has the exit code', async () => {
    const running = changed({ state: 'Running' });
    const off = { ...changed({ state: 'Off', exitCode: 137 }), revision: 3 };
    const labelled = { ...off, revision: 4, view: { ...off.view, labels: { a: 'b' } } };
    await handler()({
      Records: [
        record(containerItem(container), containerItem(running)),
        record(containerItem(running), containerItem(off)),
        record(containerItem(off), containerItem(labelled)),
      ],
    });
    const { image } = container.view.spec;
    expect((await events()).map((event) => [event.type, event.image, event.exitCode])).toEqual([
      ['Container State Changed', image, undefined],
      ['Container State Changed', image, 137],
      ['Container Updated', image, undefined],
    ]);
  });

  test('an event is kept for 90 days', async () => {
    await handler()({ Records: [record(undefined, containerItem(container))] });
    const [item] = await stored();
    expect(Number(item?.ttl?.N) * 1000 - now().getTime()).toBe(90 * 86_400_000);
  });
});

test('a container with environment and a long command has its events', async () => {
  const spec = { ...container.view.spec, env: { A: 'b' }, command: ['sh', '-c', 'x'.repeat(1000)] };
  const large = changed({ spec });
  expect(await handler()({ Records: [record(undefined, containerItem(large))] })).toEqual({
    batchItemFailures: [],
  });
  expect((await events()).map(({ type }) => type)).toEqual(['Container Created']);
});

describe('executions', () => {
  test('an operation is started when it is accepted or gets its container', async () => {
    const waits = { ...operation, after: randomUUID() };
    await handler()({
      Records: [
        record(undefined, operationItem(operation)),
        record(undefined, operationItem(waits)),
        record(operationItem(waits), operationItem({ ...waits, after: null, revision: 2 })),
        record(operationItem(operation), operationItem({ ...operation, revision: 2 })),
      ],
    });
    expect(started).toEqual([operation.id, operation.id]);
  });

  test('an operation that is accepted with a placed container is started once', async () => {
    const placed = { ...operation, view: { ...operation.view, state: 'Running' as const } };
    await handler()({
      Records: [
        record(undefined, operationItem(placed)),
        record(operationItem(placed), operationItem({ ...placed, revision: 2 })),
      ],
    });
    expect(started).toEqual([operation.id]);
  });
});

describe('a record that cannot be processed', () => {
  test('fails alone, with later records of its item', async () => {
    const item = containerItem(container);
    const poison = {
      eventName: 'MODIFY',
      dynamodb: { SequenceNumber: 'bad', Keys: { pk: item.pk, sk: item.sk } },
    };
    const after = record(item, containerItem(changed({ state: 'Running' })));
    const other = record(undefined, hostBefore);
    const answer = await handler()({ Records: [poison, after, other] });
    expect(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)).toEqual([
      'bad',
      after.dynamodb.SequenceNumber,
    ]);
    expect((await events()).map(({ type }) => type)).toEqual(['Host Enrolled']);
  });

  test('is delivered again if the bus refuses its event, and the event is listed once', async () => {
    busTakes = false;
    const batch = { Records: [record(undefined, containerItem(container))] };
    expect((await handler()(batch)).batchItemFailures).toHaveLength(1);
    busTakes = true;
    expect(await handler()(batch)).toEqual({ batchItemFailures: [] });
    expect(await events()).toHaveLength(1);
  });
});

describe('publishing', () => {
  const made = (count: number, size = 10): Published[] =>
    Array.from({ length: count }, (_unused, at) => ({
      tenant: TENANT,
      event: {
        id: String(at),
        time: AT,
        type: 'Container Updated',
        resource: { kind: 'container', id: 'x'.repeat(size) },
        revision: 1,
        previousState: null,
        state: null,
        operationId: null,
        actor: 'ann',
      },
    }));
  const idsIn = (call: PutEventsCommand['input']) =>
    (call.Entries ?? []).map(({ Detail }) => (JSON.parse(Detail ?? '{}') as { id: string }).id);

  test('ten entries are sent per call, fewer if they are large, and refused ones are sent again alone', async () => {
    const client = new EventBridgeClient({ region: 'us-east-1' });
    const mock = mockClient(client);
    const refused = new Set(['3', '11']);
    mock.on(PutEventsCommand).callsFake((input: PutEventsCommand['input']) => {
      const Entries = idsIn(input).map((id) =>
        refused.delete(id) ? { ErrorCode: 'ThrottlingException' } : { EventId: id },
      );
      return { FailedEntryCount: Entries.filter((one) => 'ErrorCode' in one).length, Entries };
    });
    const publish = createPublish(client, 'bus', async () => undefined);
    expect(await publish(made(12))).toEqual([]);
    expect(
      mock.calls().map(({ args: [command] }) => idsIn(command.input as PutEventsCommand['input'])),
    ).toEqual([
      ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
      ['10', '11'],
      ['3', '11'],
    ]);
    mock.resetHistory();
    await publish(made(4, 100_000));
    expect(mock.calls()).toHaveLength(2);
  });

  test('entries that stay refused are reported', async () => {
    const client = new EventBridgeClient({ region: 'us-east-1' });
    mockClient(client)
      .on(PutEventsCommand)
      .resolves({ FailedEntryCount: 1, Entries: [{ EventId: '0' }, { ErrorCode: 'InternalFailure' }] });
    const publish = createPublish(client, 'bus', async () => undefined);
    const [first, second] = made(2);
    if (first === undefined || second === undefined) throw new TypeError('no events');
    await expect(publish([first, second])).rejects.toMatchObject({ code: 'too-busy' });
  });
});
