import * as z from 'zod/mini';
import { TIMES } from '../core/contract/deployment.ts';
import { type Event, EventTypeSchema, type SessionFacts } from '../core/contract/event.ts';
import type { Item } from './item.ts';
import { createItem, isUnreadable, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { pack, packed } from './packed.ts';
import { ConditionFailed, type Table } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

/**
 * The log of a tenant's events: one order for all readers.
 *
 * The log is a sequence of numbered entries. An entry has the events of one batch of stream records. It is written at the
 * number after the last one, on the condition that no entry has that number. So an entry is written only after all
 * entries with smaller numbers, and a reader that follows the numbers misses none. No counter is needed.
 *
 * A batch can be delivered again, also divided differently. Each event has the sequence number of its stream record, and
 * the writer omits events that are in the log already. It reads the entries that were appended since the oldest record
 * of the batch was made, which are few unless the stream is far behind.
 */

/** An event before it has its place in the log. */
export type UnnumberedEvent = Omit<Event, 'id'>;

/** An event to append. */
export interface NewEvent {
  /** Sequence number of the stream record that caused it; unique in the table's stream. */
  readonly sequence: string;
  /** When the record was made, in milliseconds since 1970. */
  readonly at: number;
  readonly event: UnnumberedEvent;
}

/** The part of an entry that is compressed. */
type Contents = readonly (readonly [sequence: string, event: UnnumberedEvent])[];

export interface LogEntry {
  readonly number: number;
  /** When it was appended, in milliseconds since 1970, by the writer's clock. */
  readonly at: number;
  readonly contents: Contents;
  /** Seconds since 1970. */
  readonly ttl: number;
}

const SessionFactsSchema: z.ZodMiniType<SessionFacts> = z.object({
  kind: z.enum(['exec', 'session', 'attach']),
  containerId: z.string(),
  command: z.nullable(z.array(z.string())),
  user: z.nullable(z.string()),
  tty: z.boolean(),
  seconds: z.nullable(z.number()),
  exitCode: z.nullable(z.number()),
  reason: z.nullable(z.string()),
});

const EventSchema: z.ZodMiniType<UnnumberedEvent> = z.object({
  time: z.string(),
  type: EventTypeSchema,
  resource: z.object({
    kind: z.enum(['container', 'operation', 'host', 'image', 'session', 'command']),
    id: z.string(),
    name: z.optional(z.string()),
  }),
  revision: z.number(),
  previousState: z.nullable(z.string()),
  state: z.nullable(z.string()),
  runtimeType: z.optional(z.string()),
  image: z.optional(z.string()),
  exitCode: z.optional(z.nullable(z.number())),
  hostId: z.optional(z.nullable(z.string())),
  operationId: z.nullable(z.string()),
  session: z.optional(SessionFactsSchema),
  actor: z.string(),
});

const ContentsSchema: z.ZodMiniType<Contents> = z.array(z.tuple([z.string(), EventSchema]));
const EntrySchema = z.object({ at: z.number(), events: packed(ContentsSchema), ttl: z.number() });
/** What a writer reads of an entry. */
const KnownEntrySchema = z.object({
  at: z.number(),
  events: packed(z.array(z.tuple([z.string(), z.unknown()]))),
});

const NUMBER_DIGITS = 16;
const INDEX_DIGITS = 3;

export const entryKey = (tenant: string, number: number) =>
  keys.event(tenant, String(number).padStart(NUMBER_DIGITS, '0'));

/** The id of an event. In the order of the log, ids are in alphabetical order. */
const eventId = (number: number, index: number): string =>
  `${String(number).padStart(NUMBER_DIGITS, '0')}-${String(index).padStart(INDEX_DIGITS, '0')}`;

const entryItem = (tenant: string, { number, at, contents, ttl }: LogEntry): Item =>
  createItem('event', entryKey(tenant, number), {
    ...{ at, ttl },
    events: pack(contents),
  });

/** @throws UnreadableItemError */
export const parseEntry = (item: Item): LogEntry => {
  const { at, ttl, events: contents } = readItem('event', EntrySchema, item);
  return { number: Number(item.sk?.S), at, ttl, contents };
};

export const eventsOf = ({ number, contents }: LogEntry): readonly Event[] =>
  contents.map(([, event], index) => ({ id: eventId(number, index), ...event }));

/** Events of one entry, so that its item stays far below DynamoDB's limit of 400 KB. */
const ENTRY_EVENTS = 500;
const ENTRY_BYTES = 256 * 1024;

/** The first events of a batch that fit into one entry. A single event is always small enough. */
const firstEntry = (events: readonly NewEvent[]): readonly NewEvent[] => {
  let bytes = 0;
  const end = events.findIndex(({ event }, at) => {
    bytes += JSON.stringify(event).length;
    return at > 0 && (at === ENTRY_EVENTS || bytes > ENTRY_BYTES);
  });
  return end === -1 ? events : events.slice(0, end);
};

/** Milliseconds by which clocks may differ, and by which the times of stream records are rounded. */
const CLOCK_SKEW_MS = 10_000;
/** Entries that the first query reads backwards, and the factor for each further one. */
const FIRST_PAGE = 4;
const FACTOR = 4;
/** Events that a writer remembers, at about 200 bytes each. */
const REMEMBERED = 50_000;
/**
 * An empty log starts at a number that is a multiple of this and not above the time in milliseconds. There are fewer
 * batches than milliseconds, so a log whose entries have all expired continues with larger numbers.
 */
const START_STEP = 1_000_000_000;

/** What a writer remembers of an entry. */
interface KnownEntry extends Pick<LogEntry, 'number' | 'at'> {
  readonly sequences: readonly string[];
}

/** The end of a tenant's log, as far as a writer knows it. */
interface Tail {
  /** Number of the last entry; 0 if there is none. */
  last: number;
  /** Entries from `first` to `last`, oldest first. */
  readonly entries: KnownEntry[];
  /** Whether there are no entries before the first known one. */
  isWhole: boolean;
  /** Sequence number of a stream record → id of its event. */
  readonly ids: Map<string, string>;
}

export interface EventLog {
  /**
   * Appends events of one tenant, each once, however often it is called with it.
   * @param events in order; each with the time of its record, so that the log is searched only from there on
   * @returns the events with their ids, in the given order
   */
  append(tenant: string, events: readonly NewEvent[]): Promise<readonly Event[]>;
}

export const createEventLog = (table: Table, now: () => Date): EventLog => {
  const tails = new Map<string, Tail>();

  const note = (tail: Tail, { number, at, sequences }: KnownEntry): void => {
    if (number > tail.last) tail.entries.push({ number, at, sequences });
    else tail.entries.unshift({ number, at, sequences });
    tail.last = Math.max(tail.last, number);
    sequences.forEach((sequence, index) => {
      tail.ids.set(sequence, eventId(number, index));
    });
  };

  /** An entry that cannot be read has its number, and no events: it must not stop the log. */
  const knownEntry = (item: Item): KnownEntry => {
    try {
      const { at, events } = readItem('event', KnownEntrySchema, item);
      const sequences = events.map(([sequence]) => sequence);
      return { number: Number(item.sk?.S), at, sequences };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      table.reportUnreadable(error);
      return { number: Number(item.sk?.S), at: Number.POSITIVE_INFINITY, sequences: [] };
    }
  };

  /** Forgets the tenants that were not used for longest, then the oldest entries of this one. */
  const forget = (tail: Tail): void => {
    let count = [...tails.values()].reduce((sum, { ids }) => sum + ids.size, 0);
    for (const [tenant, { ids }] of tails) {
      if (count <= REMEMBERED || tails.size === 1) break;
      tails.delete(tenant);
      count -= ids.size;
    }
    while (tail.ids.size > REMEMBERED && tail.entries.length > 1) {
      const oldest = tail.entries.shift();
      for (const sequence of oldest?.sequences ?? []) tail.ids.delete(sequence);
      tail.isWhole = false;
    }
  };

  const readNewer = async (tenant: string, tail: Tail): Promise<void> => {
    let after: Item | undefined;
    do {
      const key = entryKey(tenant, tail.last + 1);
      const page = await table.query({ key, sort: 'from', consistent: true, ...(after && { after }) });
      for (const item of page.items) note(tail, knownEntry(item));
      after = page.after;
    } while (after !== undefined);
  };

  /** Reads backwards, to the first entry that was appended before `from`. */
  const readOlder = async (tenant: string, tail: Tail, from: number): Promise<void> => {
    const isEnough = () => tail.isWhole || (tail.entries[0]?.at ?? Number.POSITIVE_INFINITY) < from;
    for (let limit = FIRST_PAGE; !isEnough(); limit *= FACTOR) {
      const first = tail.entries[0];
      const page = await table.query({
        key: first === undefined ? keys.event(tenant, '') : entryKey(tenant, first.number),
        sort: first === undefined ? 'any' : 'until',
        descending: true,
        ...{ limit, consistent: true },
      });
      for (const item of page.items) note(tail, knownEntry(item));
      tail.isWhole = page.after === undefined;
    }
  };

  const tailOf = async (tenant: string, from: number): Promise<Tail> => {
    const known = tails.get(tenant);
    tails.delete(tenant);
    const tail: Tail = known?.last ? known : { last: 0, entries: [], isWhole: false, ids: new Map() };
    if (tail.last > 0) await readNewer(tenant, tail);
    await readOlder(tenant, tail, from);
    tails.set(tenant, tail);
    return tail;
  };

  /** @returns false if another writer has appended an entry */
  const put = async (tenant: string, tail: Tail, events: readonly NewEvent[]): Promise<boolean> => {
    const at = now().getTime();
    const entry: LogEntry = {
      number: tail.last === 0 ? Math.floor(at / START_STEP) * START_STEP : tail.last + 1,
      at,
      contents: events.map(({ sequence, event }) => [sequence, event]),
      ttl: ttlAfterDays(now().toISOString(), TIMES.eventRetentionDays),
    };
    try {
      await table.put({
        Item: entryItem(tenant, entry),
        ConditionExpression: 'attribute_not_exists(pk)',
      });
    } catch (error) {
      if (error instanceof ConditionFailed) return false;
      // The entry may have been written all the same.
      tails.delete(tenant);
      throw error;
    }
    note(tail, { ...entry, sequences: events.map(({ sequence }) => sequence) });
    return true;
  };

  return {
    append: async (tenant, events) => {
      const from = Math.min(...events.map(({ at }) => at)) - CLOCK_SKEW_MS;
      for (;;) {
        const tail = await tailOf(tenant, from);
        let left = events.filter(({ sequence }) => !tail.ids.has(sequence));
        while (left.length > 0) {
          const next = firstEntry(left);
          if (!(await put(tenant, tail, next))) break;
          left = left.slice(next.length);
        }
        if (left.length > 0) continue;
        const numbered = events.map(({ sequence, event }) => ({
          id: tail.ids.get(sequence) ?? '',
          ...event,
        }));
        forget(tail);
        return numbered;
      }
    },
  };
};
