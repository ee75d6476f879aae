import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { judgeOrphans } from '../../core/domain/reconciliation.ts';
import { type Connection, type HostLinkRecord, noteOnLink } from '../../store/host-links.ts';
import { isUnreadable } from '../../store/item-format.ts';
import { type Applied, applyReport } from '../../workflow/reconciliation/apply-report.ts';
import { listHeld, matchesIndex, missingReport } from '../../workflow/reconciliation/inventory.ts';
import type { HostMessageDependencies } from './dependencies.ts';
import { giveNetworkPolicy, removeOrphan, stopStray } from './own-commands.ts';

/** Containers processed in parallel: fast, without overloading the table. */
const AT_ONCE = 8;

const inGroups = async <T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> => {
  for (let start = 0; start < all.length; start += AT_ONCE)
    await Promise.all(all.slice(start, start + AT_ONCE).map(work));
};

/** Applies reports. @returns the outcome by container */
const applyAll = async (
  deps: HostMessageDependencies,
  connection: Connection,
  reports: readonly ObservedContainer[],
  inventory: boolean,
): Promise<ReadonlyMap<string, Applied>> => {
  const outcomes = new Map<string, Applied>();
  await inGroups(reports, async (observed) => {
    try {
      const applied = await applyReport(deps, connection, observed, inventory);
      outcomes.set(observed.containerId, applied);
      if (applied === 'no-capacity') await stopStray(deps, connection, observed);
    } catch (error) {
      // It is not an orphan: nothing is done to it. The other reports are applied.
      if (!isUnreadable(error)) throw error;
      deps.table.reportUnreadable(error);
    }
  });
  return outcomes;
};

const having = (outcomes: ReadonlyMap<string, Applied>, wanted: Applied): readonly string[] =>
  [...outcomes].filter(([, applied]) => applied === wanted).map(([id]) => id);

/**
 * Applies reports on changed containers. If a report is ambiguous or is about an orphan, the host is asked for its
 * inventory.
 */
export const takeReports = async (
  deps: HostMessageDependencies,
  connection: Connection,
  reports: readonly ObservedContainer[],
): Promise<void> => {
  const outcomes = await applyAll(deps, connection, reports, false);
  const orphans = reports.filter(
    ({ containerId, phase }) => phase !== 'Absent' && outcomes.get(containerId) === 'orphan',
  );
  for (const { containerId } of orphans)
    deps.logger.warn('report on an orphan', { ...connection, containerId });
  if (orphans.length > 0 || having(outcomes, 'ambiguous').length > 0)
    await noteOnLink(deps.table, connection, { recheck: true });
};

/**
 * Applies a full inventory. Containers that are missing from it are lost. Orphans are removed once they have been seen
 * twice, a minute apart. For a difference that is too recent to be certain, the next heartbeat requests another
 * inventory.
 *
 * @param whole false if the inventory did not fit in the message: then no container counts as missing
 */
export const takeInventory = async (
  deps: HostMessageDependencies,
  connection: Connection,
  link: HostLinkRecord,
  { observed, whole }: { readonly observed: readonly ObservedContainer[]; readonly whole: boolean },
): Promise<void> => {
  const held = await listHeld(deps.table, connection);
  const different = observed.filter((one) => {
    const known = held.get(one.containerId);
    return one.phase !== 'Absent' && (known === undefined || !matchesIndex(known, one));
  });
  const there = new Set(observed.filter(({ phase }) => phase !== 'Absent').map((one) => one.containerId));
  const gone = whole
    ? [...held.values()].filter(({ id, active, state }) => !active && state !== 'Failed' && !there.has(id))
    : [];
  const outcomes = await applyAll(
    deps,
    connection,
    [...different, ...gone.map(({ id }) => missingReport(id))],
    true,
  );
  const orphans = having(outcomes, 'orphan').filter((id) => there.has(id));
  const { candidates, confirmed } = judgeOrphans(link.orphans, orphans, deps.now().getTime());
  const epochs = new Map(observed.map(({ containerId, epoch }) => [containerId, epoch]));
  await inGroups(confirmed, (containerId) =>
    removeOrphan(deps, connection, { containerId, epoch: epochs.get(containerId) ?? 0 }),
  );
  const unconfirmed = [...held.values()].filter(({ networkPending }) => networkPending);
  await inGroups(unconfirmed, (one) => giveNetworkPolicy(deps, connection, one));
  const recheck = orphans.length > 0 || having(outcomes, 'ambiguous').length > 0;
  const known = Object.keys(link.orphans).length > 0;
  if (recheck || known || link.silent || link.recheck)
    await noteOnLink(deps.table, connection, { recheck, silent: false, orphans: candidates });
};
