import type * as z from 'zod/mini';
import type { HeartbeatSchema } from '../../core/contract/agent/messages.ts';
import { type Connection, noteOnLink, renewLease } from '../../store/host-links.ts';
import { recordHeard } from '../../workflow/reconciliation/host-facts.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { sendOutstanding } from './outstanding.ts';

/**
 * Costs one write unit and half a read unit, and sends no response if there is none to send. An idle host costs this once
 * an interval. The link, which is written anyway, records whether the host was silent and whether to request its inventory.
 */
export const takeHeartbeat = async (
  deps: HostMessageDependencies,
  connection: Connection,
  message: z.infer<typeof HeartbeatSchema>,
): Promise<void> => {
  const { tenant, hostId, connectionId } = connection;
  const link = await renewLease(deps.table, connection, deps.now());
  if (link === undefined) {
    await deps.close(connectionId);
    return;
  }
  await sendOutstanding(deps, connection, new Set(message.inProgress));
  if (!link.silent && !link.recheck) return;
  if (link.silent) await recordHeard(deps.table, tenant, hostId);
  await noteOnLink(deps.table, connection, { silent: false, recheck: false });
  await deps.push(connectionId, { action: 'inventoryRequest' });
};
