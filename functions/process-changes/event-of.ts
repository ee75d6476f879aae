import { type Change, deriveEvent, type ResourceKind, type Snapshot } from '../../core/domain/events.ts';
import { parseContainer } from '../../store/containers.ts';
import type { NewEvent } from '../../store/event-log.ts';
import { parseHost } from '../../store/hosts.ts';
import { parseImage } from '../../store/images.ts';
import type { Item } from '../../store/item.ts';
import { entityOf } from '../../store/item-format.ts';
import { parsePartitionKey } from '../../store/keys.ts';
import { parseOperation } from '../../store/operations.ts';
import { parseRefusedCommand } from '../../store/refused-commands.ts';
import { parseSession } from '../../store/sessions.ts';

/**
 * Events are derived from the table's stream, so every change has its event, and there is no event without a change.
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
    const { state, name, runtimeType, hostId, exitCode, activeOperationId: operationId, updatedAt } = view;
    const { image } = view.spec;
    const network = { revision: view.spec.networkRevision, pending: view.networkPending };
    const facts = { name, runtimeType, image, exitCode, hostId, network };
    return { revision, actor, state, operationId, updatedAt, ...facts };
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

const KINDS: readonly ResourceKind[] = ['container', 'operation', 'host', 'session', 'image'];

const kindOf = (item: Item): ResourceKind | undefined => {
  const entity = entityOf(item);
  if (entity === 'refusedCommand') return 'command';
  // An item of the entity `command` is not a resource: its operation has the events.
  return KINDS.find((kind) => kind === entity);
};

/** The event of a stream record. @returns undefined if the record is internal and causes no event */
export const eventOf = (record: StreamChange): (NewEvent & { readonly tenant: string }) | undefined => {
  const { before, after, at, sequenceNumber } = record;
  const item = after ?? before;
  const kind = item && kindOf(item);
  if (item === undefined || kind === undefined) return undefined;
  const { tenant, id } = parsePartitionKey(item.pk?.S ?? '');
  const earlier = before && SNAPSHOTS[kind](before);
  const later = after && SNAPSHOTS[kind](after);
  const change: Change = { kind, id: (later ?? earlier)?.id ?? id, before: earlier, after: later };
  const event = deriveEvent(change, new Date(at).toISOString());
  return event === null ? undefined : { tenant, sequence: sequenceNumber, at, event };
};
