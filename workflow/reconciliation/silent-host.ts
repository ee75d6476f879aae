import { parseContainer, parseIndexedContainer, replaceContainer } from '../../store/containers.ts';
import { checkStillSilent, type HostLinkRecord } from '../../store/host-links.ts';
import { toAttribute } from '../../store/item.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes, keys } from '../../store/keys.ts';
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
  const items = await queryAll(table, {
    index: 'gsi3',
    key: indexes.containersByHost(tenant, hostId),
    filter: {
      expression: '#view.#state = :running AND attribute_not_exists(#view.activeOperationId)',
      names: { '#view': 'view', '#state': 'state' },
      values: { ':running': toAttribute('Running') },
    },
  });
  return readEach(table, items.slice(0, limit), parseIndexedContainer).map(({ id }) => id);
};

/**
 * Marks a container as `Unknown` because its host's lease has expired. Its reservation is kept.
 *
 * @param silent the host's link when the lease expired: if the host has sent a message since, nothing is changed
 */
export const recordUnknown = (
  { table, now }: WorkflowDependencies,
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
