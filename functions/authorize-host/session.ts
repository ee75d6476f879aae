import {
  type HandshakeRefusal,
  SESSION_SUBPROTOCOL,
  SESSION_TOKEN_PREFIX,
} from '../../core/contract/session.ts';
import { UnauthorizedError } from '../../core/domain/errors.ts';
import { getSession, parseToken, type SessionRecord, type SessionSeal } from '../../store/sessions.ts';
import type { Table } from '../../store/table.ts';

/** Context for the function behind `$connect`. That function refuses, because an authorizer can only allow or deny. */
type SessionContext = {
  readonly tenant: string;
  readonly sessionId: string;
  readonly tokenHash: string;
  readonly refusal?: HandshakeRefusal;
};

const header = (headers: Readonly<Record<string, string>>, name: string): string =>
  Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1] ?? '';

/** The token of a session's client, from either header that can carry one; undefined if there is none. */
export const sessionToken = (headers: Readonly<Record<string, string>>): string | undefined => {
  const bearer = /^Bearer (\S+)$/i.exec(header(headers, 'authorization'))?.[1];
  const offered = header(headers, 'sec-websocket-protocol').split(/\s*,\s*/);
  const candidates = [bearer, ...(offered.includes(SESSION_SUBPROTOCOL) ? offered : [])];
  return candidates.find((one) => one?.startsWith(SESSION_TOKEN_PREFIX));
};

const refusalOf = (
  session: SessionRecord,
  hash: string,
  wanted: string | undefined,
  now: Date,
): HandshakeRefusal | undefined => {
  if (wanted !== undefined && wanted !== session.id) return 'session-token-mismatch';
  if (session.view.state === 'Ended') return 'session-ended';
  if (session.resumeHashes.includes(hash)) return undefined;
  if (session.tokenUsed) return 'session-token-used';
  return session.tokenExpiresAt < now.getTime() ? 'session-token-expired' : undefined;
};

/**
 * The session of a token. A caller without the secret learns nothing, not even whether the session exists.
 *
 * @param wanted id of the session in the client's request
 * @throws UnauthorizedError
 */
export const authorizeSession = async (
  table: Table,
  token: string,
  wanted: string | undefined,
  now: Date,
  seal: Pick<SessionSeal, 'isSealed'>,
): Promise<SessionContext> => {
  const claimed = await parseToken(token, seal);
  if (claimed === undefined) throw new UnauthorizedError('malformed token');
  const { tenant, sessionId, hash } = claimed;
  const session = await getSession(table, tenant, sessionId);
  if (session === undefined || (session.tokenHash !== hash && !session.resumeHashes.includes(hash)))
    throw new UnauthorizedError('no such session token');
  const refusal = refusalOf(session, hash, wanted, now);
  return { tenant, sessionId, tokenHash: hash, ...(refusal !== undefined && { refusal }) };
};
