import { parseContainer, replaceContainer } from '../../store/containers.ts';
import { checkStillSilent, type HostLinkRecord } from '../../store/host-links.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes, keys } from '../../store/keys.ts';
import { lookUp } from '../../store/look-up.ts';
import { queryAll } from '../../store/query-all.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { ConditionFailed, type Table } from '../../store/table.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from '../operation/next-records.ts';
import type { HostRef } from './apply-report.ts';

/** Containers of a host with an expired lease that the table still shows as running; at most `limit`. */
export const listRunning = async (
  table: Table,
  { tenant, hostId }: HostRef,
  limit: number,
): Promise<readonly string[]> => {
  const found = await queryAll(table, { index: 'gsi3', key: indexes.containersByHost(tenant, hostId) });
  const items = (await lookUp(table, found)).filter((item) => item !== undefined);
  return readEach(table, items, parseContainer)
    .filter(({ view }) => view.state === 'Running' && view.activeOperationId === null)
    .slice(0, limit)
    .map(({ id }) => id);
};

/**
 * Marks a container as `Unknown` because its host's lease has expired. Its reservation is kept.
 *
 * @param silent the host's link when the lease expired: if the host has sent a message since, nothing is changed
 */
export const recordUnknown = (
  { table, now }: Pick<WorkflowDependencies, 'table' | 'now'>,
  { tenant, containerId }: { readonly tenant: string; readonly containerId: string },
  silent: HostLinkRecord | undefined,
): Promise<boolean> =>
  retryOnConflict(async () => {
    const item = await table.get(keys.container(tenant, containerId), { consistent: true });
    const before = item && parseContainer(item);
    if (before?.view.state !== 'Running' || before.view.activeOperationId !== null) return false;
    const stamp: Stamp = { at: now().toISOString(), actor: 'bulkhead' };
    const after = nextContainer(before, { view: { state: 'Unknown' } }, stamp);
    const writes = silent === undefined ? [] : [checkStillSilent(silent)];
    try {
      await table.transact([...writes, replaceContainer(before, after)]);
    } catch (error) {
      if (error instanceof ConditionFailed && error.index < writes.length) return false;
      throw error;
    }
    return true;
  });
