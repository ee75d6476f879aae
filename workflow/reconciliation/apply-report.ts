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
import {
  type ContainerRecord,
  parseContainer,
  replaceContainer,
  type StoredProcess,
} from '../../store/containers.ts';
import { parseHost } from '../../store/hosts.ts';
import { keys } from '../../store/keys.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { ConditionFailed, type Table, type Write } from '../../store/table.ts';
import { reservationForType } from '../conversion/conversion-capacity.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { nextContainer, type Stamp } from '../operation/next-records.ts';
import { exitError, lastRun, startedContainer, stoppedContainer } from '../operation/observed-container.ts';
import { processOf, releaseContainer } from '../operation/release-container.ts';

/** A host that reports. Reports are applied to the table here; core/domain/reconciliation.ts decides what they mean. */
export interface HostRef {
  readonly tenant: string;
  readonly hostId: string;
}

export type Applied =
  | Reconciliation
  /** Not a container of this host: it does not exist, or it is placed elsewhere. */
  | 'orphan'
  /** It runs without a reservation, and the host has no free capacity left. */
  | 'no-capacity';

/** A container that is missing from an inventory counts as lost only if it was unchanged for this long, in milliseconds. */
const SETTLED_MS = 30_000;

const sameProcess = (a: StoredProcess, b: StoredProcess): boolean =>
  a.startedAt === b.startedAt &&
  a.workerProcess?.pid === b.workerProcess?.pid &&
  a.workerProcess?.userName === b.workerProcess?.userName;

const refreshDetails = async (
  { table }: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  stamp: Stamp,
): Promise<Applied> => {
  const known = before.process;
  const process = processOf(observed, known?.startedAt ?? stamp.at);
  const { runtimeType } = observed;
  if (known !== null && before.view.runtimeType === runtimeType && sameProcess(known, process)) return 'runs';
  const room = await reservationForType(table, before, runtimeType);
  const after = nextContainer(
    before,
    {
      reservation: room.reservation,
      process,
      ...lastRun(before, observed),
      observedSequence: observed.sequence ?? before.observedSequence ?? null,
      // The host decides which type the container runs as.
      ranAs: [...new Set([...before.ranAs, runtimeType])],
      // Its restart policy restarted it: uptime counts from now, in the control plane's time.
      view: { runtimeType, ...(known?.startedAt === observed.startedAt ? {} : { startedAt: stamp.at }) },
    },
    stamp,
  );
  try {
    await table.transact([...room.writes, replaceContainer(before, after)]);
  } catch (error) {
    if (error instanceof ConditionFailed && error.index < room.writes.length) return 'no-capacity';
    throw error;
  }
  return 'runs';
};

/**
 * The reservation of a container that was found running, and the writes that make it. A new reservation is for the type
 * that it runs as. It replaces the one of an unfinished conversion, which started without a reservation.
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
  const after = { ...off, view: { ...off.view, lastError: exitError(observed, deps.problem) } };
  await deps.table.transact(await releaseContainer(deps, { before, after, observed }));
};

const recordLoss = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  { hostId, stamp }: { readonly hostId: string; readonly stamp: Stamp },
): Promise<void> => {
  const lastError = deps.problem('host-lost', 'The host no longer has the container.', {
    suggestion: 'Its files are lost unless the host recovers them. Remove the container, or start it again.',
    context: { hostId },
  });
  // It stays placed on the host: if the host finds it again, it is not an orphan there.
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

/** Records what the restart policy has decided about a container that is off. */
const recordDecision = async (
  { table }: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  stamp: Stamp,
): Promise<void> => {
  const { state, activeOperationId } = before.view;
  const isNewer = (observed.sequence ?? 0) > (before.observedSequence ?? 0);
  if (state !== 'Off' || activeOperationId !== null || !isNewer) return;
  const known = before.lastRun ?? null;
  if (known === null || !observed.run || observed.run.restarting === known.restarting) return;
  const change = { ...lastRun(before, observed), observedSequence: observed.sequence ?? null };
  await table.transact([replaceContainer(before, nextContainer(before, change, stamp))]);
};

/** Whether the report of an end is newer than everything that is recorded. The active operation's result may be older. */
const isLaterExit = (
  { observedSequence, exitReport }: ContainerRecord,
  { phase, sequence }: ObservedContainer,
): boolean =>
  phase !== 'Running' &&
  sequence !== undefined &&
  sequence > Math.max(observedSequence ?? 0, exitReport?.sequence ?? 0);

/**
 * Applies one report. A host can change only its own containers: any other is an orphan, and nothing is changed.
 *
 * @param inventory whether the report is part of a full inventory
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
    if (active && isLaterExit(before, observed)) {
      const stamp = { at: deps.now().toISOString(), actor: before.actor };
      const after = nextContainer(before, { exitReport: observed }, stamp);
      await deps.table.transact([replaceContainer(before, after)]);
      return 'agrees';
    }
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
        await recordLoss(deps, before, { hostId, stamp });
        return meaning;
      case 'agrees':
        await recordDecision(deps, before, observed, stamp);
        return meaning;
      default:
        return meaning;
    }
  });
