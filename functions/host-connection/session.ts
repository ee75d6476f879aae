import * as z from 'zod/mini';
import { IdSchema } from '../../core/contract/primitives.ts';
import { HANDSHAKE_REFUSALS, SESSION_SUBPROTOCOL } from '../../core/contract/session.ts';
import { getLink } from '../../store/host-links.ts';
import { TENANT_PATTERN } from '../../store/keys.ts';
import { connectSession, disconnectSession } from '../../store/sessions.ts';
import type { ConnectionAnswer, HostConnectionDependencies } from './handler.ts';

const SessionEventSchema = z.object({
  requestContext: z.object({
    connectionId: z.string().check(z.minLength(1)),
    routeKey: z.string(),
    authorizer: z.object({
      tenant: z.string().check(z.regex(TENANT_PATTERN)),
      sessionId: IdSchema,
      tokenHash: z.string(),
      refusal: z.optional(z.string()),
    }),
  }),
  headers: z.optional(z.nullable(z.record(z.string(), z.string()))),
});
type SessionEvent = z.infer<typeof SessionEventSchema>;

/** @returns undefined for an event of a host's connection */
export const parseSessionEvent = (event: unknown): SessionEvent | undefined =>
  SessionEventSchema.safeParse(event).data;

const STATUS_OF = new Map<string, number>(
  Object.entries(HANDSHAKE_REFUSALS).map(([status, code]) => [code, Number(status)]),
);
const USED: ConnectionAnswer = { statusCode: 409 };

/** A browser requires a response that selects one of the subprotocols that it offered. */
const accepted = ({ headers }: SessionEvent): ConnectionAnswer => {
  const offers = Object.entries(headers ?? {}).some(
    ([name, value]) => name.toLowerCase() === 'sec-websocket-protocol' && value.includes(SESSION_SUBPROTOCOL),
  );
  return offers
    ? { statusCode: 200, headers: { 'Sec-WebSocket-Protocol': SESSION_SUBPROTOCOL } }
    : { statusCode: 200 };
};

/**
 * Handles connects and disconnects of session clients. Of two concurrent connects with one token, one gets the session.
 * The host is notified when the client disconnects, so that it stops sending output.
 */
export const createSessionConnection = ({ table, close, push, logger }: HostConnectionDependencies) => {
  const connect = async (event: SessionEvent): Promise<ConnectionAnswer> => {
    const { connectionId, authorizer } = event.requestContext;
    const { tenant, sessionId, tokenHash, refusal } = authorizer;
    if (refusal !== undefined) {
      logger.warn('session refused', { tenant, sessionId, refusal });
      return { statusCode: STATUS_OF.get(refusal) ?? 403 };
    }
    const connected = await connectSession(table, { tenant, sessionId, connectionId, tokenHash });
    if (connected === undefined) return USED;
    if (connected.superseded !== null) await close(connected.superseded);
    logger.info('session connected', { tenant, sessionId });
    return accepted(event);
  };

  const disconnect = async ({ requestContext }: SessionEvent): Promise<ConnectionAnswer> => {
    const { tenant, sessionId } = requestContext.authorizer;
    const { connectionId } = requestContext;
    const session = await disconnectSession(table, { tenant, sessionId, connectionId });
    logger.info('session disconnected', { tenant, sessionId, superseded: session === undefined });
    if (session?.view.state !== 'Open') return { statusCode: 200 };
    const host = (await getLink(table, tenant, session.view.hostId))?.connectionId ?? null;
    if (host !== null) await push(host, { action: 'session', sessionId, kind: 'detached' });
    return { statusCode: 200 };
  };

  return (event: SessionEvent): Promise<ConnectionAnswer> =>
    event.requestContext.routeKey === '$disconnect' ? disconnect(event) : connect(event);
};
