import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Event, EventSchema } from '../../../core/contract/event.ts';
import { createCursors } from '../../../store/cursor.ts';
import { listEvents } from '../../../store/event-list.ts';
import { createEventLog, type EventLog, entryKey, type NewEvent } from '../../../store/event-log.ts';
import { keyItem, type Table } from '../../../store/table.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { sequence as randomFrom } from '../../helpers/random-sequence.ts';
import { testId } from '../../helpers/records.ts';
import { scaled } from '../../helpers/scaled.ts';

const TENANT = 'acme';
const BEGAN = Date.parse('2026-11-24T09:00:00.000Z');
const DAY_MS = 86_400_000;

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const newEvent = (
  sequence: number,
  at: number,
  { resource = 1, command = [] as string[] } = {},
): NewEvent => ({
  sequence: String(sequence),
  at,
  event: {
    time: new Date(at).toISOString(),
    type: 'Session Opened',
    resource: { kind: 'session', id: testId(resource) },
    revision: sequence,
    previousState: null,
    state: 'Open',
    operationId: null,
    session: {
      kind: 'session',
      containerId: testId(2),
      command: command.length === 0 ? null : command,
      user: null,
      tty: false,
      seconds: null,
      exitCode: null,
      reason: null,
    },
    actor: 'ann',
  },
});

/** A log with a clock, and a reader of it. */
const open = async () => {
  const { table, consumed } = await engine.table();
  const clock = { now: BEGAN };
  const now = () => new Date(clock.now);
  const cursors = createCursors(table, (count) => Buffer.alloc(count, 1));
  const read = (cursor?: string, limit = 200, from: Table = table) =>
    listEvents(from, cursors, TENANT, { limit, cursor }, now());
  const readAll = async (): Promise<Event[]> => {
    const found: Event[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await read(cursor);
      found.push(...page.items);
      if (page.items.length === 0) return found;
      cursor = page.nextCursor;
    }
  };
  return { table, consumed, clock, now, read, readAll, writer: (on = table) => createEventLog(on, now) };
};

const revisions = (events: readonly Event[]) => events.map(({ revision }) => revision);

describe('a log', () => {
  test('has the events of a batch in one entry, at one write unit', async () => {
    const { consumed, writer, readAll } = await open();
    const log = writer();
    await log.append(TENANT, [newEvent(1, BEGAN)]);
    consumed.reset();
    await log.append(
      TENANT,
      [2, 3, 4].map((number) => newEvent(number, BEGAN)),
    );
    const puts = consumed.calls().filter(({ operation }) => operation === 'PutItem');
    expect(puts).toEqual([{ operation: 'PutItem', units: 1 }]);
    const events = await readAll();
    expect(events.map((event) => EventSchema.parse(event).revision)).toEqual([1, 2, 3, 4]);
    expect(events.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id));
  });

  test.each([
    ['the same batch', [1, 2, 3, 4]],
    ['a longer batch', [1, 2, 3, 4, 5, 6]],
    ['the second half', [3, 4]],
    ['a batch that begins in the middle', [4, 5]],
  ])('has each event once when %s is delivered after a crash, with the same ids', async (_what, again) => {
    const { clock, writer, readAll } = await open();
    const first = await writer().append(
      TENANT,
      [1, 2, 3, 4].map((number) => newEvent(number, BEGAN)),
    );
    clock.now += 60_000;
    await writer().append(TENANT, [newEvent(100, clock.now)]);
    clock.now += 12 * 3_600_000;
    const second = await writer().append(
      TENANT,
      again.map((number) => newEvent(number, BEGAN)),
    );
    const ids = new Map(first.map(({ revision, id }) => [revision, id]));
    for (const { revision, id } of second) if (ids.has(revision)) expect(id).toBe(ids.get(revision));
    expect(revisions(await readAll())).toEqual([1, 2, 3, 4, 100, ...again.filter((number) => number > 4)]);
  });

  test('has an event once if the response of its write was lost', async () => {
    const { table, writer, readAll } = await open();
    let isLost = true;
    const lossy: Table = {
      ...table,
      put: async (input) => {
        await table.put(input);
        if (isLost) throw new TypeError('the response is lost');
      },
    };
    const log = writer(lossy);
    await expect(log.append(TENANT, [newEvent(1, BEGAN)])).rejects.toThrow('lost');
    isLost = false;
    await log.append(TENANT, [newEvent(1, BEGAN), newEvent(2, BEGAN)]);
    expect(revisions(await readAll())).toEqual([1, 2]);
  });

  test('continues with larger numbers after all entries have expired', async () => {
    const { table, clock, writer, read } = await open();
    const [old] = await writer().append(TENANT, [newEvent(1, BEGAN)]);
    const { nextCursor } = await read();
    await table.remove({ Key: keyItem(entryKey(TENANT, Number(old?.id.split('-')[0]))) });
    clock.now += 91 * DAY_MS;
    await writer().append(TENANT, [newEvent(2, clock.now)]);
    expect(revisions((await read(nextCursor)).items)).toEqual([2]);
  });

  test('divides a batch that is too large for one entry', async () => {
    const { writer, readAll, read } = await open();
    // Random text, so that it does not compress.
    const random = randomFrom(1);
    const word = () => Array.from({ length: 60 }, () => random().toString(36).slice(2)).join('');
    const events = Array.from({ length: 600 }, (_, at) =>
      newEvent(at, BEGAN, { command: at % 6 === 0 ? Array.from({ length: 8 }, word) : [] }),
    );
    await writer().append(TENANT, events);
    expect(revisions(await readAll())).toEqual(events.map((_, at) => at));
    const half = await read(undefined, 150);
    expect(revisions((await read(half.nextCursor, 10)).items)).toEqual(
      Array.from({ length: 10 }, (_, at) => 150 + at),
    );
  });

  test('continues after an entry that cannot be read', async () => {
    const { table, writer, read } = await open();
    const unreadable: unknown[] = [];
    const tolerant: Table = { ...table, reportUnreadable: (error) => void unreadable.push(error) };
    const log = writer(tolerant);
    await log.append(TENANT, [newEvent(1, BEGAN)]);
    const [event] = await log.append(TENANT, [newEvent(2, BEGAN)]);
    await table.update({
      Key: keyItem(entryKey(TENANT, Number(event?.id.split('-')[0]))),
      UpdateExpression: 'SET #events = :broken',
      ExpressionAttributeNames: { '#events': 'events' },
      ExpressionAttributeValues: { ':broken': { B: new Uint8Array([1, 2, 3]) } },
    });
    await writer(tolerant).append(TENANT, [newEvent(3, BEGAN)]);
    expect(revisions((await read(undefined, 200, tolerant)).items)).toEqual([1, 3]);
    expect(unreadable.length).toBeGreaterThan(0);
  });
});

describe('a reader', () => {
  test('gets an entry that was written while its query ran', async () => {
    const { table, writer, read } = await open();
    const log = writer();
    await log.append(TENANT, [newEvent(1, BEGAN)]);
    const { nextCursor } = await read();
    await log.append(TENANT, [newEvent(2, BEGAN)]);
    await log.append(TENANT, [newEvent(3, BEGAN)]);
    // The query has passed the place of the first of two new entries before it was written.
    const stale: Table = {
      ...table,
      query: async (options) => {
        const page = await table.query(options);
        return options.consistent ? page : { ...page, items: page.items.slice(1) };
      },
    };
    expect(revisions((await read(nextCursor, 200, stale)).items)).toEqual([2, 3]);
  });

  test('does not get events that have expired and are not deleted yet', async () => {
    const { clock, writer, read } = await open();
    await writer().append(TENANT, [newEvent(1, BEGAN)]);
    clock.now += 91 * DAY_MS;
    await writer().append(TENANT, [newEvent(2, clock.now)]);
    expect(revisions((await read()).items)).toEqual([2]);
  });

  test('that polls at the end costs half a read unit', async () => {
    const { consumed, writer, read } = await open();
    await writer().append(TENANT, [newEvent(1, BEGAN)]);
    const { nextCursor } = await read();
    consumed.reset();
    expect((await read(nextCursor)).items).toEqual([]);
    expect(consumed.total()).toBe(0.5);
  });
});

/** A shard of the table's stream: its records, and how many of them are acknowledged. */
interface Shard {
  /** The shard that was split into this one. */
  readonly parent: Shard | undefined;
  readonly records: NewEvent[];
  acknowledged: number;
  log: EventLog;
}

test('every reader gets each event once, in one order, through crashes, lag and resharding', async () => {
  const total = scaled({ ci: 6_000, whole: 60_000 });
  const { clock, writer, read, readAll } = await open();
  const random = randomFrom(20_261_124);
  const below = (limit: number) => Math.floor(random() * limit);

  // Sequence numbers rise in the stream. The records of a resource are in one shard.
  const newShard = (parent?: Shard): Shard => ({ parent, records: [], acknowledged: 0, log: writer() });
  /** The shards that get new records. */
  const current = Array.from({ length: 4 }, () => newShard());
  const shards = [...current];
  let made = 0;
  const produce = (count: number) => {
    for (let at = 0; at < count && made < total; at += 1) {
      made += 1;
      const resource = below(200);
      // DynamoDB rounds the time of a record to seconds.
      current[resource % 4]?.records.push(newEvent(made, Math.floor(clock.now / 1000) * 1000, { resource }));
    }
  };
  const deliver = async (shard: Shard): Promise<void> => {
    const batch = shard.records.slice(shard.acknowledged, shard.acknowledged + 1 + below(100));
    if (batch.length === 0) return;
    const fate = random();
    if (fate < 0.1) {
      // The function ends after some of its writes. Another instance gets the records, in another division.
      await shard.log.append(TENANT, batch.slice(0, 1 + below(batch.length)));
      shard.log = writer();
      return;
    }
    await shard.log.append(TENANT, batch);
    // The acknowledgement is lost.
    if (fate < 0.2) return;
    shard.acknowledged += batch.length;
  };
  /** Every shard ends, and its records continue in a new one, which is read after it. */
  const reshard = () => {
    for (const [at, parent] of current.entries()) current[at] = newShard(parent);
    shards.push(...current);
  };
  const isRead = ({ acknowledged, records }: Shard) => acknowledged === records.length;
  const isReadable = ({ parent }: Shard): boolean =>
    parent === undefined || (isRead(parent) && isReadable(parent));

  const readers = Array.from({ length: 10 }, () => ({
    cursor: undefined as string | undefined,
    got: [] as Event[],
  }));
  while (made < total || !shards.every(isRead)) {
    produce(below(200));
    clock.now += random() < 0.02 ? 3_600_000 : below(3_000);
    if (random() < 0.05) reshard();
    // Some shards lag behind. The others are processed at the same time.
    await Promise.all(shards.filter((shard) => isReadable(shard) && random() < 0.6).map(deliver));
    for (const reader of readers.filter(() => random() < 0.3)) {
      const page = await read(reader.cursor, 1 + below(200));
      reader.got.push(...page.items);
      reader.cursor = page.nextCursor;
    }
  }
  const whole = await readAll();
  expect(whole).toHaveLength(total);
  expect(new Set(whole.map(({ id }) => id)).size).toBe(total);
  const latest = new Map<string, number>();
  for (const { resource, revision } of whole) {
    expect(revision).toBeGreaterThan(latest.get(resource.id) ?? 0);
    latest.set(resource.id, revision);
  }
  for (const { got, cursor } of readers) {
    for (let at = cursor; ; ) {
      const page = await read(at);
      got.push(...page.items);
      if (page.items.length === 0) break;
      at = page.nextCursor;
    }
    expect(got.map(({ id }) => id)).toEqual(whole.map(({ id }) => id));
  }
}, 300_000);
