import type { HostFacts } from '../../core/contract/host.ts';
import { connectedHostState } from '../../core/domain/host-state.ts';
import {
  type HostRecord,
  type HostView,
  parseHost,
  type SweptHost,
  writeUnknown,
  writeView,
} from '../../store/hosts.ts';
import { keys } from '../../store/keys.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table, Write } from '../../store/table.ts';

/**
 * Changes of a host's item from its messages, or from their absence.
 *
 * Unlike other items it is never written whole, because concurrent placements change `free`. A change of capacity
 * changes `free` by the difference, so `free` stays capacity minus reservations.
 */
const readHost = async (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> => {
  const item = await table.get(keys.host(tenant, hostId), { consistent: true });
  return item && parseHost(item);
};

/** Whether two views are equal, in any order of members. */
const same = (a: HostView, b: HostView): boolean => canonical(a) === canonical(b);

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

/** Reads the host, changes its view and writes it, again if another writer was faster. */
const changeView = (
  table: Table,
  tenant: string,
  hostId: string,
  next: (view: HostView) => HostView,
): Promise<HostRecord | undefined> =>
  retryOnConflict(async () => {
    const before = await readHost(table, tenant, hostId);
    if (before === undefined || before.view.state === 'Lost') return before;
    const view = next(before.view);
    if (same(before.view, view)) return before;
    await table.update(writeView(before, view, `host:${hostId}`).update);
    return { ...before, view, revision: before.revision + 1 };
  });

/** Records the facts that a host reports about itself. @returns the updated host; undefined if it does not exist */
export const recordFacts = (
  table: Table,
  tenant: string,
  hostId: string,
  said: { readonly facts: HostFacts; readonly agentVersion: string },
): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({
    ...view,
    ...said,
    state: connectedHostState(view.schedulable),
  }));

/** Records that a host that was `Unknown` has sent a message again. */
export const recordHeard = (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({ ...view, state: connectedHostState(view.schedulable) }));

/**
 * The writes that mark a host as `Unknown`, which takes no containers: its lease has expired.
 *
 * @param noticed marks the link, on the condition that the host has sent nothing since
 * @throws ConditionFailed if the host has sent a message or has changed
 */
export const recordSilence = (host: SweptHost, noticed: readonly Write[]): readonly Write[] => [
  writeUnknown(host, 'bulkhead'),
  ...noticed,
];
