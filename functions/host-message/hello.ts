import type * as z from 'zod/mini';
import type { HelloSchema } from '../../core/contract/agent/messages.ts';
import { type Connection, renewLease } from '../../store/host-links.ts';
import { recordHeldImages } from '../../workflow/reconciliation/held-images.ts';
import { recordFacts } from '../../workflow/reconciliation/host-facts.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { introduceKeys } from './introduce-keys.ts';
import { takeInventory } from './inventory.ts';
import { sendOutstanding } from './outstanding.ts';

/**
 * Handles a host's first message, which it also sends on request: its facts, images and containers. The welcome and the
 * pending commands are sent before the inventory is processed, because callers wait for those commands.
 */
export const takeHello = async (
  deps: HostMessageDependencies,
  connection: Connection,
  message: z.infer<typeof HelloSchema>,
): Promise<void> => {
  const { tenant, hostId, connectionId } = connection;
  const link = await renewLease(deps.table, connection, deps.now());
  const { facts, agentVersion } = message;
  const host = link && (await recordFacts(deps.table, tenant, hostId, { facts, agentVersion }));
  if (link === undefined || host === undefined || host.view.state === 'Lost') {
    deps.logger.warn('the connection no longer belongs to the host', { tenant, hostId });
    await deps.close(connectionId);
    return;
  }
  await recordHeldImages(
    deps.table,
    connection,
    { images: message.images, range: message.imageRange },
    deps.now().toISOString(),
  );
  await deps.push(connectionId, {
    action: 'welcome',
    messageId: message.messageId,
    protocol: message.protocol,
    heartbeatSeconds: deps.heartbeatSeconds,
    leaseSeconds: deps.leaseSeconds,
    ...(await introduceKeys(deps, hostId, message)),
  });
  await sendOutstanding(deps, connection, new Set());
  await takeInventory(deps, connection, link, {
    observed: message.observed,
    whole: message.partial !== true,
  });
};
