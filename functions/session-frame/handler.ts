import * as z from 'zod/mini';
import { IdSchema } from '../../core/contract/primitives.ts';
import {
  type ClientSessionMessage,
  ClientSessionMessageSchema,
  type HostSessionMessage,
  HostSessionMessageSchema,
} from '../../core/contract/session.ts';
import { TENANT_PATTERN } from '../../store/keys.ts';
import { endSession, renewToken, type SessionSeal } from '../../store/sessions.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Dependencies } from '../shared/dependencies.ts';
import type { Push } from '../shared/hosts/push.ts';
import { createConnections, type Ends } from './connections.ts';

interface SessionFrameDependencies
  extends Pick<Dependencies, 'now' | 'monotonic' | 'randomBytes'>,
    Pick<SessionSeal, 'seal'> {
  readonly table: Table;
  readonly push: Push;
  readonly logger: Logger;
}

/** The principal from the authorizer: a host or a session client. */
const EventSchema = z.object({
  requestContext: z.object({
    connectionId: z.string().check(z.minLength(1)),
    authorizer: z.object({
      tenant: z.string().check(z.regex(TENANT_PATTERN)),
      hostId: z.optional(IdSchema),
      sessionId: z.optional(IdSchema),
    }),
  }),
  body: z.string(),
});

const parse = <T>(schema: z.ZodMiniType<T>, body: string): T | undefined => {
  try {
    return schema.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
};

const OK = { statusCode: 200 } as const;
const REFUSED = { statusCode: 403 } as const;

/**
 * Frames over a superseded connection are dropped, and so is input for an ended session. Acknowledgements are still
 * forwarded: the host repeats the exit until the client has acknowledged it.
 */
const maySay = (session: Ends, connectionId: string, message: ClientSessionMessage): boolean =>
  session.client === connectionId && (session.isOpen || message.kind === 'ack');

/**
 * Forwards a frame to the other side with one push, and without a read while the cache is valid. Only the session's own
 * client connection and host can send frames; frames of others are dropped. A frame that cannot be delivered is dropped
 * too, because its sender repeats it until it is acknowledged. Only the exit is parsed, and recorded before it is
 * forwarded, so that a repeat finds it recorded.
 */
export const createSessionFrameHandler = (deps: SessionFrameDependencies) => {
  const { table, push, now, logger } = deps;
  const { sessions, hosts } = createConnections(deps);

  /** The session, if the connection may send this frame. A cached entry is read again before a refusal. */
  const sessionFor = async (
    tenant: string,
    connectionId: string,
    message: ClientSessionMessage,
  ): Promise<Ends | undefined> => {
    for (let tried = 0; tried < 2; tried += 1) {
      const session = await sessions.find(tenant, message.sessionId);
      if (session === undefined) return undefined;
      if (maySay(session, connectionId, message)) return session;
      sessions.forget(tenant, message.sessionId);
    }
    return undefined;
  };

  const toHost = async (
    tenant: string,
    connectionId: string,
    message: ClientSessionMessage,
  ): Promise<void> => {
    const { sessionId } = message;
    if (message.kind === 'renew') {
      const token = await renewToken(table, { tenant, sessionId, connectionId }, deps);
      if (token !== undefined)
        await push(connectionId, { action: 'session', sessionId, kind: 'resume', token });
      return;
    }
    const session = await sessionFor(tenant, connectionId, message);
    if (session === undefined) return;
    for (let tried = 0; tried < 2; tried += 1) {
      const host = await hosts.find(tenant, session.hostId);
      if (host === undefined || (await push(host, message)) !== 'gone') return;
      hosts.forget(tenant, session.hostId);
    }
  };

  const recordEnd = async (tenant: string, hostId: string, message: HostSessionMessage): Promise<void> => {
    const end =
      message.kind === 'ended'
        ? { reason: message.reason, exitCode: null }
        : message.kind === 'frame' && message.frame.type === 'exit'
          ? { reason: message.frame.reason, exitCode: message.frame.exitCode }
          : undefined;
    if (end !== undefined) await endSession(table, { tenant, id: message.sessionId, hostId }, end, now());
  };

  const toClient = async (tenant: string, hostId: string, message: HostSessionMessage): Promise<void> => {
    const { sessionId } = message;
    await recordEnd(tenant, hostId, message);
    for (let tried = 0; tried < 2; tried += 1) {
      const session = await sessions.find(tenant, sessionId);
      if (session === undefined) return;
      if (session.hostId !== hostId) {
        logger.warn('a host sent a frame for another host’s session', { tenant, hostId, sessionId });
        return;
      }
      if (session.client !== null && (await push(session.client, message)) !== 'gone') return;
      sessions.forget(tenant, sessionId);
    }
  };

  return async (event: unknown): Promise<{ readonly statusCode: number }> => {
    const parsed = EventSchema.safeParse(event);
    if (!parsed.success) return REFUSED;
    const { requestContext, body } = parsed.data;
    const { tenant, hostId, sessionId } = requestContext.authorizer;
    if (hostId !== undefined) {
      const message = parse(HostSessionMessageSchema, body);
      if (message === undefined) return REFUSED;
      await toClient(tenant, hostId, message);
      return OK;
    }
    const message = parse(ClientSessionMessageSchema, body);
    if (message === undefined || message.sessionId !== sessionId) return REFUSED;
    await toHost(tenant, requestContext.connectionId, message);
    return OK;
  };
};
