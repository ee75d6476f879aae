import * as z from 'zod/mini';
import { TIMES } from '../core/contract/deployment.ts';
import { type Event, EventTypeSchema, type SessionFacts } from '../core/contract/event.ts';
import { type CursorScope, type Cursors, positionOf, startKey } from './cursor.ts';
import type { Item } from './item.ts';
import { createItem, orNull, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import type { ListRequest } from './list.ts';
import type { Table } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

/** The list of events: one item each, in order, kept for {@link TIMES.eventRetentionDays}. */
export interface EventRecord {
  readonly tenant: string;
  /** Sort key: time and stream sequence; also the event's id. */
  readonly at: string;
  readonly event: Event;
}

const SessionFactsSchema: z.ZodMiniType<SessionFacts> = z.object({
  kind: z.enum(['exec', 'session', 'attach']),
  containerId: z.string(),
  command: orNull(z.array(z.string())),
  user: orNull(z.string()),
  tty: z.boolean(),
  seconds: orNull(z.number()),
  exitCode: orNull(z.number()),
  reason: orNull(z.string()),
});

const EventItemSchema = z.object({
  event: z.object({
    id: z.string(),
    time: z.string(),
    type: EventTypeSchema,
    resource: z.object({
      kind: z.enum(['container', 'operation', 'host', 'image', 'session', 'command']),
      id: z.string(),
      name: z.optional(z.string()),
    }),
    revision: z.number(),
    previousState: orNull(z.string()),
    state: orNull(z.string()),
    runtimeType: z.optional(z.string()),
    hostId: z.optional(z.string()),
    operationId: orNull(z.string()),
    session: z.optional(SessionFactsSchema),
    actor: z.string(),
  }),
});

const MILLISECOND_DIGITS = 15;
/** Sequence numbers of a DynamoDB stream have at most 40 digits. */
const SEQUENCE_DIGITS = 40;

/** Sort key of an event: it orders by the table's clock, then by the stream. */
export const eventKey = (at: number, sequenceNumber: string): string =>
  `${String(Math.trunc(at)).padStart(MILLISECOND_DIGITS, '0')}#${sequenceNumber.padStart(SEQUENCE_DIGITS, '0')}`;

/** Stores an event. A repeat writes the same item again. */
export const putEvent = async (table: Table, { tenant, at, event }: EventRecord): Promise<void> => {
  const ttl = ttlAfterDays(event.time, TIMES.eventRetentionDays);
  await table.put({ Item: createItem('event', keys.event(tenant, at), { event, ttl }) });
};

/** @throws UnreadableItemError */
export const parseEvent = (item: Item): Event => readItem('event', EventItemSchema, item).event;

interface EventPage {
  readonly items: readonly Event[];
  /** Also set at the end of the list, because later events follow it. */
  readonly nextCursor: string;
}

/**
 * Partitions of the table's stream are processed in parallel, so of two simultaneous events the later one may be stored
 * first. Events younger than this, in milliseconds, are withheld, so that a cursor does not skip one that is still in
 * transit.
 */
const SETTLING_MS = 2_000;

/** Events in order, from the cursor on, without expired ones that are not deleted yet. */
export const listEvents = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  { limit, cursor }: ListRequest,
  now: Date,
): Promise<EventPage> => {
  const scope: CursorScope = { tenant, list: 'events', filters: {} };
  const position = cursor === undefined ? { after: null, part: 0 } : await cursors.verify(scope, cursor);
  const page = await table.query({
    key: keys.event(tenant, eventKey(now.getTime() - SETTLING_MS, '')),
    sort: 'until',
    limit,
    after: startKey(position.after),
  });
  const last = page.items.at(-1);
  const isCurrent = (item: Item) => item.ttl?.N === undefined || Number(item.ttl.N) * 1000 > now.getTime();
  return {
    items: page.items.filter(isCurrent).map(parseEvent),
    nextCursor: await cursors.sign(scope, {
      after: last === undefined ? position.after : positionOf(last),
      part: 0,
    }),
  };
};
