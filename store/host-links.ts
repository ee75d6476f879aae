import * as z from 'zod/mini';
import { type Item, toAttribute } from './item.ts';
import { createItem, orNull, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { ConditionFailed, keyItem, type Table, type Write } from './table.ts';

/**
 * A host's connection and lease: one small item without an index, so that a heartbeat costs one write unit.
 *
 * Only the newest connection counts. Messages over an older one are ignored, and closing an older one has no effect. The
 * sweeper decides by the lease, not by a closed connection, that a host is silent: a quick reconnect has no effect.
 */
export interface HostLinkRecord {
  readonly tenant: string;
  readonly hostId: string;
  readonly connectionId: string | null;
  /** When the connection was closed, in milliseconds since 1970; null while there is one. */
  readonly droppedAt: number | null;
  /** Milliseconds since 1970 by the control plane's clock; 0 until the agent connects for the first time. */
  readonly lastSeenAt: number;
  /** Milliseconds since 1970 in the WebSocket API's time: of two connections the later one counts. */
  readonly connectedAt: number;
  /** The sweeper has marked the host as silent. */
  readonly silent: boolean;
  /** The last report was ambiguous: the host is asked for its inventory at its next heartbeat. */
  readonly recheck: boolean;
  /** Orphans on the host → milliseconds since 1970 when each was first reported. */
  readonly orphans: Readonly<Record<string, number>>;
}

const LinkSchema = z.object({
  connectionId: orNull(z.string()),
  droppedAt: orNull(z.number()),
  lastSeenAt: z._default(z.number(), 0),
  connectedAt: z._default(z.number(), 0),
  silent: z._default(z.boolean(), false),
  recheck: z._default(z.boolean(), false),
  orphans: z._default(z.record(z.string(), z.number()), {}),
});

/** @throws UnreadableItemError */
export const parseHostLink = (item: Item): HostLinkRecord => {
  const { id: hostId, ...rest } = readItem('hostLink', LinkSchema, item);
  return { ...rest, hostId };
};

/** What the sweeper reads of a link. */
export const SWEPT_LINK = ['pk', 'sk', 'v', 'entity', 'lastSeenAt'] as const;

/** The link of a host whose agent has not connected yet. */
export const newLinkItem = (tenant: string, hostId: string): Item =>
  createItem('hostLink', keys.hostLink(tenant, hostId), {});

const key = (tenant: string, hostId: string) => keyItem(keys.hostLink(tenant, hostId));

export const getLink = async (
  table: Table,
  tenant: string,
  hostId: string,
): Promise<HostLinkRecord | undefined> => {
  const item = await table.get(keys.hostLink(tenant, hostId));
  return item && parseHostLink(item);
};

const ifMine = async (update: () => Promise<Item>): Promise<HostLinkRecord | undefined> => {
  try {
    return parseHostLink(await update());
  } catch (error) {
    if (error instanceof ConditionFailed) return undefined;
    throw error;
  }
};

export interface Connection {
  readonly tenant: string;
  readonly hostId: string;
  readonly connectionId: string;
}

/** Whether the connection has the link, by a consistent read: one read unit. */
export const hasLink = async (
  table: Table,
  { tenant, hostId, connectionId }: Connection,
): Promise<boolean> => {
  const item = await table.get(keys.hostLink(tenant, hostId), { consistent: true });
  return item !== undefined && parseHostLink(item).connectionId === connectionId;
};

/**
 * Assigns the link to a connection. Enrollment creates the link, so that a removed host has none.
 *
 * @param connectedAt milliseconds since 1970 by the WebSocket API's clock
 * @returns the replaced connection, null if there was none; undefined if a newer one has the link, or the host was
 *   removed
 */
export const takeLink = async (
  table: Table,
  { tenant, hostId, connectionId }: Connection,
  connectedAt: number,
  now: Date,
): Promise<{ readonly superseded: string | null } | undefined> => {
  const before = await table.get(keys.hostLink(tenant, hostId), { consistent: true });
  const taken = await ifMine(() =>
    table.update({
      Key: key(tenant, hostId),
      UpdateExpression:
        'SET connectionId = :connection, connectedAt = :connected, lastSeenAt = :now REMOVE droppedAt',
      ConditionExpression:
        'attribute_exists(pk) AND attribute_not_exists(connectedAt) OR connectedAt <= :connected',
      ExpressionAttributeValues: {
        ':connection': toAttribute(connectionId),
        ':connected': toAttribute(connectedAt),
        ':now': toAttribute(now.getTime()),
      },
    }),
  );
  if (taken === undefined) return undefined;
  const previous = before === undefined ? null : parseHostLink(before).connectionId;
  return { superseded: previous === connectionId ? null : previous };
};

/** Releases the link, if this connection has it. */
export const dropLink = async (
  table: Table,
  { tenant, hostId, connectionId }: Connection,
  now: Date,
): Promise<boolean> => {
  const dropped = await ifMine(() =>
    table.update({
      Key: key(tenant, hostId),
      UpdateExpression: 'SET droppedAt = :now REMOVE connectionId',
      ConditionExpression: 'connectionId = :connection',
      ExpressionAttributeValues: {
        ':connection': toAttribute(connectionId),
        ':now': toAttribute(now.getTime()),
      },
    }),
  );
  return dropped !== undefined;
};

/** Releases an existing link from whatever connection has it: messages of that connection are ignored from now on. */
export const releaseLink = ({ tenant, hostId }: HostLinkRecord, now: Date): Write => ({
  update: {
    Key: key(tenant, hostId),
    UpdateExpression: 'SET droppedAt = :now REMOVE connectionId',
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeValues: { ':now': toAttribute(now.getTime()) },
  },
});

/** Renews the lease: one write unit. @returns the link, or undefined if a newer connection has it */
export const renewLease = (
  table: Table,
  { tenant, hostId, connectionId }: Connection,
  now: Date,
): Promise<HostLinkRecord | undefined> =>
  ifMine(() =>
    table.update({
      Key: key(tenant, hostId),
      UpdateExpression: 'SET lastSeenAt = :now',
      ConditionExpression: 'connectionId = :connection',
      ExpressionAttributeValues: {
        ':connection': toAttribute(connectionId),
        ':now': toAttribute(now.getTime()),
      },
    }),
  );

/** What the last inventory left for another check. */
interface Notes {
  readonly silent?: boolean;
  readonly recheck?: boolean;
  readonly orphans?: Readonly<Record<string, number>>;
}

/** Records something on the link, if this connection has it. */
export const noteOnLink = (
  table: Table,
  { tenant, hostId, connectionId }: Connection,
  notes: Notes,
): Promise<HostLinkRecord | undefined> => {
  const entries = Object.entries(notes).filter(([, value]) => value !== undefined);
  return ifMine(() =>
    table.update({
      Key: key(tenant, hostId),
      UpdateExpression: `SET ${entries.map(([name]) => `${name} = :${name}`).join(', ')}`,
      ConditionExpression: 'connectionId = :connection',
      ExpressionAttributeValues: {
        ':connection': toAttribute(connectionId),
        ...Object.fromEntries(entries.map(([name, value]) => [`:${name}`, toAttribute(value)])),
      },
    }),
  );
};

/** Records that the host is silent, if it has sent nothing since its link was read. */
export const noteSilence = (link: HostLinkRecord): Write => {
  const { condition, values } = stillSilent(link);
  return {
    update: {
      Key: key(link.tenant, link.hostId),
      UpdateExpression: 'SET silent = :yes',
      ConditionExpression: condition,
      ExpressionAttributeValues: { ':yes': toAttribute(true), ...values },
    },
  };
};

/** Checks that the host has sent nothing since its link was read. */
export const checkStillSilent = (link: HostLinkRecord): Write => {
  const { condition, values } = stillSilent(link);
  return {
    check: {
      Key: key(link.tenant, link.hostId),
      ConditionExpression: condition,
      ...(values !== undefined && { ExpressionAttributeValues: values }),
    },
  };
};

/** The link that enrollment creates has no time, because its host has never connected. */
const stillSilent = ({ lastSeenAt }: HostLinkRecord) =>
  lastSeenAt === 0
    ? { condition: 'attribute_not_exists(lastSeenAt)' }
    : { condition: 'lastSeenAt = :seen', values: { ':seen': toAttribute(lastSeenAt) } };

/** Time for a reconnect, in milliseconds. */
const RECONNECT_MS = 5_000;

/** Whether the host's connection was closed, and it has not reconnected in the time that a reconnect takes. */
export const isDisconnected = ({ droppedAt }: Pick<HostLinkRecord, 'droppedAt'>, now: Date): boolean =>
  droppedAt !== null && now.getTime() - droppedAt > RECONNECT_MS;

/** Whether the host's lease has expired. A host without a link has never connected. */
export const isSilent = (
  link: Pick<HostLinkRecord, 'lastSeenAt'> | undefined,
  now: Date,
  leaseSeconds: number,
): boolean => link === undefined || now.getTime() - link.lastSeenAt > leaseSeconds * 1000;
