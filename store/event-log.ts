import { TIMES } from '../core/contract/deployment.ts';
import type { Event } from '../core/contract/event.ts';
import { type Change, deriveEvent, type ResourceKind, type Snapshot } from '../core/domain/events.ts';
import { fromItem, type Item, toItem } from './item.ts';
import { keys, parsePartitionKey } from './keys.ts';
import { entityOf, parseContainer, parseHost, parseImage, parseOperation } from './parse.ts';
import type { EventRecord } from './records.ts';
import { parseRefusedCommand } from './refused-commands.ts';
import { parseSession } from './sessions.ts';
import type { Table } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

/**
 * The list of events: one item each, in order, kept for {@link TIMES.eventRetentionDays}. They are derived from the
 * table's stream, so what has happened has its event, and what has not has none. The same stream record makes the same
 * event with the same key however often it is delivered.
 */
interface StreamChange {
  readonly sequenceNumber: string;
  /** Milliseconds since 1970, of the table's clock. */
  readonly at: number;
  readonly before: Item | undefined;
  readonly after: Item | undefined;
}

const SNAPSHOTS: Readonly<Record<ResourceKind, (item: Item) => Snapshot>> = {
  container: (item) => {
    const { revision, actor, view } = parseContainer(item);
    const { state, name, runtimeType, hostId, activeOperationId: operationId, updatedAt } = view;
    const network = { revision: view.spec.networkRevision, pending: view.networkPending };
    return { revision, actor, state, name, runtimeType, hostId, operationId, updatedAt, network };
  },
  operation: (item) => {
    const { id, revision, actor, view } = parseOperation(item);
    const { state, hostId, updatedAt } = view;
    return { revision, actor, state, hostId, operationId: id, updatedAt };
  },
  host: (item) => {
    const { id, revision, actor, view } = parseHost(item);
    const { state, name } = view;
    return { revision, actor, state, name, hostId: id, operationId: null, updatedAt: null };
  },
  session: (item) => {
    const { revision, actor, view } = parseSession(item);
    const { state, createdAt, updatedAt, hostId, ...facts } = view;
    const seconds = state === 'Open' ? null : (Date.parse(updatedAt) - Date.parse(createdAt)) / 1000;
    return { revision, actor, state, hostId, operationId: null, updatedAt, session: { ...facts, seconds } };
  },
  command: (item) => {
    const { hostId, commandId, reason, at } = parseRefusedCommand(item);
    const actor = `host:${hostId}`;
    return { id: commandId, revision: 1, actor, state: reason, hostId, operationId: null, updatedAt: at };
  },
  image: (item) => {
    const { revision, actor, view } = parseImage(item);
    return { revision, actor, state: null, name: view.name, operationId: null, updatedAt: null };
  },
};

const kindOf = (item: Item): ResourceKind | undefined => {
  const entity = entityOf(item);
  if (entity === 'refusedCommand') return 'command';
  // An item of the entity `command` is no resource: what comes of it is told by its operation.
  if (entity === 'command') return undefined;
  return entity !== undefined && Object.hasOwn(SNAPSHOTS, entity) ? (entity as ResourceKind) : undefined;
};

const MILLISECOND_DIGITS = 15;
/** Sequence numbers of a DynamoDB stream have at most 40 digits. */
const SEQUENCE_DIGITS = 40;

/** Sort key of an event: it orders by the table's clock, then by the stream. */
export const eventKey = (at: number, sequenceNumber: string): string =>
  `${String(Math.trunc(at)).padStart(MILLISECOND_DIGITS, '0')}#${sequenceNumber.padStart(SEQUENCE_DIGITS, '0')}`;

/** The event of a stream record. @returns undefined for one that is no news for the outside */
export const eventOf = (record: StreamChange): EventRecord | undefined => {
  const { before, after, at, sequenceNumber } = record;
  const item = after ?? before;
  const kind = item && kindOf(item);
  if (item === undefined || kind === undefined) return undefined;
  const { tenant, id } = parsePartitionKey(item.pk?.S ?? '');
  const earlier = before && SNAPSHOTS[kind](before);
  const later = after && SNAPSHOTS[kind](after);
  const change: Change = { kind, id: (later ?? earlier)?.id ?? id, before: earlier, after: later };
  const key = eventKey(at, sequenceNumber);
  const event = deriveEvent(change, { id: key, time: new Date(at).toISOString() });
  return event === null ? undefined : { tenant, at: key, event };
};

/** Keeps an event. A repeat writes the same item again. */
export const putEvent = async (table: Table, { tenant, at, event }: EventRecord): Promise<void> => {
  const ttl = ttlAfterDays(event.time, TIMES.eventRetentionDays);
  await table.put({ Item: toItem({ ...keys.event(tenant, at), entity: 'event', event, ttl }) });
};

/** Events keep their nulls for the reader, though the table leaves them out. */
export const parseEvent = (item: Item): Event => {
  const { session, ...event } = fromItem(item).event as { readonly session?: object };
  return {
    ...{ previousState: null, state: null, operationId: null },
    ...event,
    ...(session !== undefined && { session: { ...SESSION_NULLS, ...session } }),
  } as Event;
};

const SESSION_NULLS = { command: null, user: null, seconds: null, exitCode: null, reason: null };
