import * as z from 'zod/mini';
import { IdSchema } from '../../core/contract/primitives.ts';
import { getLink } from '../../store/host-links.ts';
import { TENANT_PATTERN } from '../../store/keys.ts';
import { expelClient } from '../../store/sessions.ts';
import type { HostMessageDependencies } from './dependencies.ts';

const EventSchema = z.object({
  requestContext: z.object({
    connectionId: z.string().check(z.minLength(1)),
    authorizer: z.object({ tenant: z.string().check(z.regex(TENANT_PATTERN)), sessionId: IdSchema }),
  }),
});

/**
 * Handles a message of a session's client on the route of hosts. Such messages take capacity that hosts of all tenants
 * share, so the client is disconnected and cannot resume the session. Its host ends the session after the time for a reconnect.
 *
 * @returns whether the event was from a session's client
 */
export const expelSessionClient = async (
  { table, push, close, logger }: Pick<HostMessageDependencies, 'table' | 'push' | 'close' | 'logger'>,
  event: unknown,
): Promise<boolean> => {
  const parsed = EventSchema.safeParse(event);
  if (!parsed.success) return false;
  const { connectionId, authorizer } = parsed.data.requestContext;
  const { tenant, sessionId } = authorizer;
  const session = await expelClient(table, { tenant, sessionId, connectionId });
  await close(connectionId);
  if (session === undefined) return true;
  logger.warn('a session client sent a message that is not a session frame', { tenant, sessionId });
  if (session.view.state !== 'Open') return true;
  const host = (await getLink(table, tenant, session.view.hostId))?.connectionId ?? null;
  if (host !== null) await push(host, { action: 'session', sessionId, kind: 'detached' });
  return true;
};
