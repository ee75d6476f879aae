import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { reservationFor, roundCpus } from '../../core/domain/capacity.ts';
import {
  RECONCILED_STATES,
  type Reconciliation,
  type Report,
  reconcile,
} from '../../core/domain/reconciliation.ts';
import { reserveCapacity } from '../../store/capacity.ts';
import { keys } from '../../store/keys.ts';
import { parseComputeProcess, parseContainer, parseHost } from '../../store/parse.ts';
import type { ComputeProcessRecord, ContainerRecord } from '../../store/records.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { ConditionFailed, type Table, type Write } from '../../store/table.ts';
import { putComputeProcess, replaceContainer } from '../../store/writes.ts';
import { reservationForType } from '../conversion/conversion-capacity.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from '../operation/next-records.ts';
import { startedContainer, stoppedContainer } from '../operation/observed-container.ts';
import { computeProcessOf, releaseContainer } from '../operation/release-container.ts';

/** Applies what a host reports to what the table holds; what a report means is decided in core/domain. */
export interface HostRef {
  readonly tenant: string;
  readonly hostId: string;
}

export type Applied =
  | Reconciliation
  /** No container of this host: none at all, or one that is elsewhere. */
  | 'orphan'
  /** It runs, nothing is held for it, and there is no room left. */
  | 'no-capacity';

/** How long a container must have been left alone before its being missing in an inventory counts, in milliseconds. */
const SETTLED_MS = 30_000;

const sameProcess = (a: ComputeProcessRecord['view'], b: ComputeProcessRecord['view']): boolean =>
  a.startedAt === b.startedAt &&
  a.runtimeType === b.runtimeType &&
  a.workerProcess?.pid === b.workerProcess?.pid &&
  a.workerProcess?.userName === b.workerProcess?.userName;

const refreshDetails = async (
  { table }: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  stamp: Stamp,
): Promise<Applied> => {
  const item = await table.get(keys.computeProcess(before.tenant, before.id), { consistent: true });
  const known = item && parseComputeProcess(item).view;
  const { runtimeType } = observed;
  const room = await reservationForType(table, before, runtimeType);
  const after = nextContainer(
    before,
    {
      reservation: room.reservation,
      observedSequence: observed.sequence ?? before.observedSequence ?? null,
      // What it runs as is the host's to say.
      ranAs: [...new Set([...before.ranAs, runtimeType])],
      // Its restart policy has started it again: uptime is counted from now, by the clock that tells it.
      view: { runtimeType, ...(known?.startedAt === observed.startedAt ? {} : { startedAt: stamp.at }) },
    },
    stamp,
  );
  const seen = computeProcessOf(after, observed, known?.startedAt ?? stamp.at);
  if (known !== undefined && sameProcess(known, seen.view)) return 'runs';
  try {
    await table.transact([...room.writes, replaceContainer(before, after), putComputeProcess(seen)]);
  } catch (error) {
    if (error instanceof ConditionFailed && error.index < room.writes.length) return 'no-capacity';
    throw error;
  }
  return 'runs';
};

/**
 * What is held for a container that was found running, and the writes that take it. What is reserved here is for the
 * type that it runs as: a conversion that has not ended yet began with nothing held, and no longer counts.
 */
const reserveForRunning = async (
  table: Table,
  before: ContainerRecord,
  { hostId, runtimeType }: { readonly hostId: string; readonly runtimeType: RuntimeType },
): Promise<
  { held: Pick<ContainerRecord, 'reservation' | 'conversion'>; writes: readonly Write[] } | undefined
> => {
  if (before.reservation !== null)
    return { held: { reservation: before.reservation, conversion: before.conversion }, writes: [] };
  const host = await table.get(keys.host(before.tenant, hostId));
  if (host === undefined) return undefined;
  const { facts } = parseHost(host).view;
  const taken = reservationFor(before.view.spec.resources, runtimeType, facts);
  const reservation = { ...taken, cpus: roundCpus(taken.cpus) };
  return {
    held: { reservation, conversion: null },
    writes: [reserveCapacity(before.tenant, hostId, reservation, { onlyIfReady: false })],
  };
};

const recordStart = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  { hostId, stamp }: { readonly hostId: string; readonly stamp: Stamp },
): Promise<Applied> => {
  const room = await reserveForRunning(deps.table, before, { hostId, runtimeType: observed.runtimeType });
  if (room === undefined) return 'orphan';
  const after = startedContainer(
    { ...before, ...room.held },
    observed,
    before.view.startedAt ?? stamp.at,
    stamp,
  );
  const writes = [...room.writes, ...(await releaseContainer(deps, { before, after, observed }))];
  try {
    await deps.table.transact(writes);
  } catch (error) {
    if (room.writes.length > 0 && error instanceof ConditionFailed && error.index === 0) return 'no-capacity';
    throw error;
  }
  return 'started';
};

const recordStop = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  stamp: Stamp,
): Promise<void> => {
  const off = stoppedContainer(before, observed, stamp);
  const why = observed.exitReason;
  const lastError = why === null || observed.exitCode === 0 ? null : deps.problem('process-exited', why);
  const after = { ...off, view: { ...off.view, lastError } };
  await deps.table.transact(await releaseContainer(deps, { before, after, observed }));
};

const lose = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  { hostId, stamp }: { readonly hostId: string; readonly stamp: Stamp },
): Promise<void> => {
  const lastError = deps.problem('host-lost', 'The host no longer has the container.', {
    suggestion: 'Its files are gone unless the host gets them back: remove it, or start it anew.',
    context: { hostId },
  });
  // It stays the host's: should the host have it after all, it is no stranger there.
  const after = nextContainer(
    before,
    {
      reservation: null,
      conversion: null,
      stateBefore: null,
      view: { state: RECONCILED_STATES.lost, startedAt: null, lastError, activeOperationId: null },
    },
    stamp,
  );
  await deps.table.transact(await releaseContainer(deps, { before, after, observed: null }));
};

/**
 * Applies one report. A host speaks only of its own: anything else it holds is a stranger, and nothing is changed.
 *
 * @param inventory whether the report is part of a whole inventory
 */
export const applyReport = (
  deps: WorkflowDependencies,
  { tenant, hostId }: HostRef,
  observed: ObservedContainer,
  inventory: boolean,
): Promise<Applied> =>
  retryOnConflict(async (): Promise<Applied> => {
    const item = await deps.table.get(keys.container(tenant, observed.containerId), { consistent: true });
    const before = item && parseContainer(item);
    if (before === undefined) return 'orphan';
    const active = before.view.activeOperationId !== null;
    if (before.view.hostId !== hostId) return active ? 'agrees' : 'orphan';
    const report: Report = { ...observed, inventory };
    const meaning = reconcile(
      {
        state: before.view.state,
        active,
        epoch: before.epoch,
        observedSequence: before.observedSequence ?? null,
      },
      report,
    );
    const now = deps.now();
    const stamp: Stamp = { at: now.toISOString(), actor: `host:${hostId}` };
    switch (meaning) {
      case 'runs':
        return refreshDetails(deps, before, observed, stamp);
      case 'started':
        return recordStart(deps, before, observed, { hostId, stamp });
      case 'stopped':
        await recordStop(deps, before, observed, stamp);
        return meaning;
      case 'lost':
        if (now.getTime() - Date.parse(before.view.updatedAt) < SETTLED_MS) return 'ambiguous';
        await lose(deps, before, { hostId, stamp });
        return meaning;
      default:
        return meaning;
    }
  });
