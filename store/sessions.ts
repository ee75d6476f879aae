import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { SessionFacts } from '../core/contract/event.ts';
import { SESSION_LIMITS, SESSION_TOKEN_PREFIX } from '../core/contract/session.ts';
import { type Item, toAttribute } from './item.ts';
import { createItem, type Owned, orNull, readItem } from './item-format.ts';
import { keys, TENANT_PATTERN } from './keys.ts';
import { ConditionFailed, keyItem, type Table } from './table.ts';

/**
 * Sessions: user, container, host and client connection.
 *
 * Open (created before its host is asked) → Ended, once. The audited facts are in `view` and change with the revision. The
 * connection and the tokens change often and are not audited: they are updated without a revision, like a host's link.
 *
 * Tokens are `bhs_<tenant>.<session>.<secret>.<seal>`; the item has only hashes. The key of the seal is not in the table, so
 * that a hash written there by an attacker does not make a token valid. The first token is valid once. A token for resuming
 * is valid until its successor is used, so that a connection that breaks while it is opened does not lock the client out.
 */
const SECRET_BYTES = 32;
/** How long an ended session is kept, so that a connection with its token is refused with the reason. */
const KEPT_SECONDS = 3600;
const MOST_RESUME_TOKENS = 16;
const TOKEN_PATTERN = /^(bhs_([A-Za-z0-9_-]+)\.([0-9a-f-]{36})\.[A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;
const LONGEST_COMMAND = 64;
const LONGEST_ARGUMENT = 256;

export interface SessionRecord {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly actor: string;
  readonly view: Omit<SessionFacts, 'seconds'> & {
    readonly hostId: string;
    readonly state: 'Open' | 'Ended';
    readonly createdAt: string;
    readonly updatedAt: string;
  };
  /** Hash of the first token; null for an `exec`. */
  readonly tokenHash: string | null;
  readonly tokenUsed: boolean;
  /** Milliseconds since 1970. */
  readonly tokenExpiresAt: number;
  readonly resumeHashes: readonly string[];
  readonly connectionId: string | null;
}

const SessionSchema: z.ZodMiniType<Omit<SessionRecord, keyof Owned>> = z.object({
  revision: z.number(),
  actor: z.string(),
  view: z.object({
    kind: z.enum(['exec', 'session', 'attach']),
    containerId: z.string(),
    command: orNull(z.array(z.string())),
    user: orNull(z.string()),
    tty: z.boolean(),
    exitCode: orNull(z.number()),
    reason: orNull(z.string()),
    hostId: z.string(),
    state: z.enum(['Open', 'Ended']),
    createdAt: z.string(),
    updatedAt: z.string(),
  }),
  tokenHash: orNull(z.string()),
  tokenUsed: z._default(z.boolean(), false),
  tokenExpiresAt: z._default(z.number(), 0),
  resumeHashes: z._default(z.array(z.string()), []),
  connectionId: orNull(z.string()),
});

/** @throws UnreadableItemError */
export const parseSession = (item: Item): SessionRecord => readItem('session', SessionSchema, item);

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export interface SessionSeal {
  readonly seal: (text: string) => Promise<string>;
  readonly isSealed: (text: string, seal: string) => Promise<boolean>;
}

interface TokenMaker extends Pick<SessionSeal, 'seal'> {
  /** Returns that many random bytes. */
  readonly randomBytes: (count: number) => Buffer;
}

const newToken = async (
  tenant: string,
  sessionId: string,
  { randomBytes, seal }: TokenMaker,
): Promise<string> => {
  const owner = Buffer.from(tenant).toString('base64url');
  const unsealed = `${SESSION_TOKEN_PREFIX}${owner}.${sessionId}.${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return `${unsealed}.${await seal(unsealed)}`;
};

interface ParsedToken {
  readonly tenant: string;
  readonly sessionId: string;
  readonly hash: string;
}

/** The session of a sealed token; undefined for a forged one. The token is valid only if its hash is found. */
export const parseToken = async (
  token: string,
  { isSealed }: Pick<SessionSeal, 'isSealed'>,
): Promise<ParsedToken | undefined> => {
  const [, unsealed = '', owner = '', sessionId = '', seal = ''] = TOKEN_PATTERN.exec(token) ?? [];
  const tenant = Buffer.from(owner, 'base64url').toString();
  if (!TENANT_PATTERN.test(tenant) || !(await isSealed(unsealed, seal))) return undefined;
  return { tenant, sessionId, hash: hashOf(token) };
};

/** The part of a command in the audit: enough to recognize it, but not a whole script. */
const audited = (command: readonly string[] | null): string[] | null =>
  command === null
    ? null
    : command
        .slice(0, LONGEST_COMMAND)
        .map((argument) =>
          argument.length > LONGEST_ARGUMENT ? `${argument.slice(0, LONGEST_ARGUMENT)}…` : argument,
        );

interface NewSession {
  readonly tenant: string;
  readonly id: string;
  readonly actor: string;
  readonly facts: Pick<SessionFacts, 'kind' | 'containerId' | 'command' | 'user' | 'tty'>;
  readonly hostId: string;
  /** Maximum duration in seconds; its item is deleted some time after. */
  readonly totalSeconds: number;
}

/** Creates a session. @returns its token and the expiry */
export const createSession = async (
  table: Table,
  { tenant, id, actor, facts, hostId, totalSeconds }: NewSession,
  now: Date,
  maker: TokenMaker,
): Promise<{ readonly token: string; readonly expiresAt: Date }> => {
  const token = await newToken(tenant, id, maker);
  const expiresAt = new Date(now.getTime() + SESSION_LIMITS.tokenSeconds * 1000);
  const at = now.toISOString();
  const item = createItem('session', keys.session(tenant, id), {
    revision: 1,
    actor,
    view: {
      ...facts,
      command: audited(facts.command),
      hostId,
      state: 'Open',
      createdAt: at,
      updatedAt: at,
    },
    ...(facts.kind !== 'exec' && { tokenHash: hashOf(token), tokenExpiresAt: expiresAt.getTime() }),
    ttl: Math.floor(now.getTime() / 1000) + totalSeconds + KEPT_SECONDS,
  });
  await table.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
  return { token, expiresAt };
};

export const getSession = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<SessionRecord | undefined> => {
  const item = await table.get(keys.session(tenant, id), { consistent: true });
  return item && parseSession(item);
};

/** Undefined if the condition failed. */
const ifSo = async (update: () => Promise<Item>): Promise<SessionRecord | undefined> => {
  try {
    return parseSession(await update());
  } catch (error) {
    if (error instanceof ConditionFailed) return undefined;
    throw error;
  }
};

interface Connecting {
  readonly tenant: string;
  readonly sessionId: string;
  readonly connectionId: string;
  readonly tokenHash: string;
}

/**
 * Consumes a token and assigns the session to this connection.
 * @returns the replaced connection; undefined if the token is no longer valid
 */
export const connectSession = async (
  table: Table,
  { tenant, sessionId, connectionId, tokenHash }: Connecting,
): Promise<{ readonly superseded: string | null } | undefined> => {
  const before = await getSession(table, tenant, sessionId);
  const connected = await ifSo(() =>
    table.update({
      Key: keyItem(keys.session(tenant, sessionId)),
      UpdateExpression: 'SET connectionId = :connection, tokenUsed = :yes, resumeHashes = :resume',
      ConditionExpression:
        '#view.#state = :open AND ((tokenHash = :hash AND attribute_not_exists(tokenUsed)) OR contains(resumeHashes, :hash))',
      ExpressionAttributeNames: { '#view': 'view', '#state': 'state' },
      ExpressionAttributeValues: {
        ':open': toAttribute('Open'),
        ':connection': toAttribute(connectionId),
        ':yes': toAttribute(true),
        ':hash': toAttribute(tokenHash),
        // The first token is used up; one for resuming stays valid until its successor is used.
        ':resume': toAttribute(before?.tokenHash === tokenHash ? [] : [tokenHash]),
      },
    }),
  );
  return connected && { superseded: before?.connectionId ?? null };
};

/** A token for the next connection, if this connection has the session. */
export const renewToken = async (
  table: Table,
  { tenant, sessionId, connectionId }: Omit<Connecting, 'tokenHash'>,
  maker: TokenMaker,
): Promise<string | undefined> => {
  const token = await newToken(tenant, sessionId, maker);
  const renewed = await ifSo(() =>
    table.update({
      Key: keyItem(keys.session(tenant, sessionId)),
      UpdateExpression: 'SET resumeHashes = list_append(resumeHashes, :more)',
      ConditionExpression:
        '#view.#state = :open AND connectionId = :connection AND size(resumeHashes) < :most',
      ExpressionAttributeNames: { '#view': 'view', '#state': 'state' },
      ExpressionAttributeValues: {
        ':open': toAttribute('Open'),
        ':connection': toAttribute(connectionId),
        ':more': toAttribute([hashOf(token)]),
        ':most': toAttribute(MOST_RESUME_TOKENS),
      },
    }),
  );
  return renewed && token;
};

/** Records that the client's connection closed. @returns undefined if the session had another connection */
export const disconnectSession = (
  table: Table,
  { tenant, sessionId, connectionId }: Omit<Connecting, 'tokenHash'>,
): Promise<SessionRecord | undefined> =>
  ifSo(() =>
    table.update({
      Key: keyItem(keys.session(tenant, sessionId)),
      UpdateExpression: 'REMOVE connectionId',
      ConditionExpression: 'connectionId = :connection',
      ExpressionAttributeValues: { ':connection': toAttribute(connectionId) },
    }),
  );

/**
 * Disconnects the client from the session and invalidates all tokens.
 * @returns undefined if the session had another connection
 */
export const expelClient = (
  table: Table,
  { tenant, sessionId, connectionId }: Omit<Connecting, 'tokenHash'>,
): Promise<SessionRecord | undefined> =>
  ifSo(() =>
    table.update({
      Key: keyItem(keys.session(tenant, sessionId)),
      UpdateExpression: 'SET tokenUsed = :yes, resumeHashes = :none REMOVE connectionId',
      ConditionExpression: 'connectionId = :connection',
      ExpressionAttributeValues: {
        ':connection': toAttribute(connectionId),
        ':yes': toAttribute(true),
        ':none': toAttribute([]),
      },
    }),
  );

interface SessionEnd {
  readonly reason: string;
  readonly exitCode: number | null;
  /** Who ended it, if it did not end on its own. */
  readonly actor?: string;
}

/** Records the end, once. @param hostId the reporting host, which can end only its own sessions */
export const endSession = (
  table: Table,
  { tenant, id, hostId }: { readonly tenant: string; readonly id: string; readonly hostId: string },
  { reason, exitCode, actor }: SessionEnd,
  now: Date,
): Promise<SessionRecord | undefined> =>
  ifSo(() =>
    table.update({
      Key: keyItem(keys.session(tenant, id)),
      UpdateExpression: `SET #view.#state = :ended, #view.updatedAt = :at, #view.reason = :reason, revision = revision + :one, #ttl = :ttl${exitCode === null ? '' : ', #view.exitCode = :code'}${actor === undefined ? '' : ', actor = :actor'}`,
      ConditionExpression: '#view.#state = :open AND #view.hostId = :host',
      ExpressionAttributeNames: { '#view': 'view', '#state': 'state', '#ttl': 'ttl' },
      ExpressionAttributeValues: {
        ':open': toAttribute('Open'),
        ':ended': toAttribute('Ended'),
        ':host': toAttribute(hostId),
        ':at': toAttribute(now.toISOString()),
        ':reason': toAttribute(reason),
        ':one': toAttribute(1),
        ':ttl': toAttribute(Math.floor(now.getTime() / 1000) + KEPT_SECONDS),
        ...(exitCode !== null && { ':code': toAttribute(exitCode) }),
        ...(actor !== undefined && { ':actor': toAttribute(actor) }),
      },
    }),
  );
