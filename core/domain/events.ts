import type { Event, EventType, SessionFacts } from '../contract/event.ts';

/** The parts of an item that matter for events, for all entities. */
export interface Snapshot {
  /** The id, if it is not the last part of the item's key. */
  readonly id?: string;
  readonly revision: number;
  readonly actor: string;
  readonly state: string | null;
  readonly name?: string | undefined;
  readonly runtimeType?: string | undefined;
  readonly image?: string | undefined;
  readonly exitCode?: number | null | undefined;
  readonly hostId?: string | null | undefined;
  readonly operationId: string | null;
  /** Revision of a container's network policy. */
  readonly network?: { readonly revision: number; readonly pending: boolean } | undefined;
  readonly session?: SessionFacts | undefined;
  readonly updatedAt: string | null;
}

export type ResourceKind = Event['resource']['kind'];

export interface Change {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly before: Snapshot | undefined;
  readonly after: Snapshot | undefined;
}

type Types = {
  readonly created: EventType | null;
  readonly state: EventType | null;
  readonly updated: EventType | null;
  readonly removed: EventType | null;
};

const TYPES: Readonly<Record<ResourceKind, Types>> = {
  container: {
    created: 'Container Created',
    state: 'Container State Changed',
    updated: 'Container Updated',
    removed: 'Container Removed',
  },
  // Steps and reasons of an operation cause no events, and neither does its expiry.
  operation: {
    created: 'Operation State Changed',
    state: 'Operation State Changed',
    updated: null,
    removed: null,
  },
  host: {
    created: 'Host Enrolled',
    state: 'Host State Changed',
    updated: 'Host Updated',
    removed: 'Host Removed',
  },
  session: {
    created: 'Session Opened',
    state: 'Session Ended',
    updated: null,
    removed: 'Session Ended',
  },
  // A command that a host refused as not authentic. Its expiry causes no event.
  command: { created: 'Command Refused', state: null, updated: null, removed: null },
  image: { created: 'Image Added', state: null, updated: 'Image Added', removed: 'Image Removed' },
};

const typeOf = ({ kind, before, after }: Change): EventType | null => {
  const types = TYPES[kind];
  if (before === undefined) return types.created;
  if (after === undefined) return kind === 'session' && before.state === 'Ended' ? null : types.removed;
  // Changes without a new revision are bookkeeping, e.g. free capacity of a host.
  if (before.revision === after.revision) return null;
  if (before.state !== after.state) return types.state ?? types.updated;
  if (before.network?.revision !== after.network?.revision) return 'Container Network Changed';
  // A confirmation by the host of an earlier change is not a change.
  return before.network?.pending === after.network?.pending ? types.updated : null;
};

/** Whether a main process has ended. */
const isEnd = ({ kind, before, after }: Change): boolean =>
  kind === 'container' &&
  before?.state !== after?.state &&
  after?.state === 'Off' &&
  before?.state !== undefined;

/**
 * The event of a change, if it is published. Each mutation of a resource has one event, so that the list of events is the
 * audit log.
 *
 * @param time used if the item has none
 * @returns the event without an id: the log of events numbers it
 */
export const deriveEvent = (change: Change, time: string): Omit<Event, 'id'> | null => {
  const type = typeOf(change);
  const now = change.after ?? change.before;
  if (type === null || now === undefined) return null;
  const removed = change.after === undefined;
  return {
    time: removed ? time : (now.updatedAt ?? time),
    type,
    resource: { kind: change.kind, id: change.id, ...(now.name !== undefined && { name: now.name }) },
    revision: now.revision + (removed ? 1 : 0),
    previousState: change.before?.state ?? null,
    state: removed ? null : now.state,
    ...(now.runtimeType !== undefined && { runtimeType: now.runtimeType }),
    ...(now.image !== undefined && { image: now.image }),
    // The exit code of the last run is unchanged by other changes.
    ...(isEnd(change) && { exitCode: now.exitCode ?? null }),
    ...(now.hostId !== undefined && { hostId: now.hostId }),
    ...(now.session !== undefined && { session: now.session }),
    operationId: now.operationId ?? change.before?.operationId ?? null,
    actor: now.actor,
  };
};
