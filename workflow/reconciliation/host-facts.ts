import type { HostFacts } from '../../core/contract/host.ts';
import { stateWhenHeard } from '../../core/domain/host-state.ts';
import { writeView } from '../../store/host-view.ts';
import { keys } from '../../store/keys.ts';
import { parseHost } from '../../store/parse.ts';
import type { HostRecord, HostView } from '../../store/records.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table, Write } from '../../store/table.ts';

/**
 * Changes of a host's item by what is heard of it, or not heard.
 *
 * Unlike other items it is never written whole: `free` belongs to the placements that go on at the same time. A change
 * of capacity moves `free` by the difference, so that capacity less reservations stays what is free.
 */
const readHost = async (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> => {
  const item = await table.get(keys.host(tenant, hostId), { consistent: true });
  return item && parseHost(item);
};

/** Equal as stored: order of members is no difference. */
const same = (a: HostView, b: HostView): boolean => canonical(a) === canonical(b);

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

/** A host as an index shows it leaves out its key only, which no change touches. */
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

/** What a host says of itself. @returns the host as it is then; undefined if there is none */
export const recordFacts = (
  table: Table,
  tenant: string,
  hostId: string,
  said: { readonly facts: HostFacts; readonly agentVersion: string },
): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({
    ...view,
    ...said,
    state: stateWhenHeard(view.schedulable),
  }));

/** A host that was silent is heard of again. */
export const recordHeard = (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({ ...view, state: stateWhenHeard(view.schedulable) }));

/**
 * A host is silent: `Unknown`, and takes no containers.
 *
 * @param noticed marks the link, on the condition that the host has not been heard of since
 * @throws ConditionFailed if it has been heard of, or has changed
 */
export const recordSilence = (host: HostRecord, noticed: readonly Write[]): readonly Write[] => [
  writeView(host, { ...host.view, state: 'Unknown' }, 'bulkhead'),
  ...noticed,
];
