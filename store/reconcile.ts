import type { ObservedContainer } from '../core/contract/agent/commands.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { reservationFor, roundCpus } from '../core/domain/capacity.ts';
import {
  RECONCILED_STATES,
  type Reconciliation,
  type Report,
  reconcile,
} from '../core/domain/reconciliation.ts';
import { roomForType } from './conversion-room.ts';
import { type Item, toAttribute } from './item.ts';
import { indexes, keys } from './keys.ts';
import { checkStillSilent } from './links.ts';
import { parseComputeProcess, parseContainer, parseHost } from './parse.ts';
import type { ComputeProcessRecord, ContainerRecord, HostLinkRecord } from './records.ts';
import { ConditionFailed, type QueryOptions, type Table, type Write } from './table.ts';
import {
  decideAgain,
  nextContainer,
  putComputeProcess,
  replaceContainer,
  type Stamp,
  takeRoom,
} from './transition.ts';
import { computeProcessOf, letGoOf, turnedOff, turnedOn, type WorkflowDependencies } from './workflow.ts';

/** Applies what a host reports to what the table holds; what a report means is decided in core/domain. */
export interface Speaker {
  readonly tenant: string;
  readonly hostId: string;
}

export type Applied =
  | Reconciliation
  /** No container of this host: none at all, or one that is elsewhere. */
  | 'stranger'
  /** It runs, nothing is held for it, and there is no room left. */
  | 'no-room';

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
  const room = await roomForType(table, before, runtimeType);
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
    if (error instanceof ConditionFailed && error.index < room.writes.length) return 'no-room';
    throw error;
  }
  return 'runs';
};

/**
 * What is held for a container that was found running, and the writes that take it. Room that is taken here is for the
 * type that it runs as: a conversion that has not ended yet began with nothing held, and no longer counts.
 */
const takeRoomFor = async (
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
    writes: [takeRoom(before.tenant, hostId, reservation, { onlyIfReady: false })],
  };
};

const turnOn = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  { hostId, stamp }: { readonly hostId: string; readonly stamp: Stamp },
): Promise<Applied> => {
  const room = await takeRoomFor(deps.table, before, { hostId, runtimeType: observed.runtimeType });
  if (room === undefined) return 'stranger';
  const after = turnedOn({ ...before, ...room.held }, observed, before.view.startedAt ?? stamp.at, stamp);
  const writes = [...room.writes, ...(await letGoOf(deps, { before, after, observed }))];
  try {
    await deps.table.transact(writes);
  } catch (error) {
    if (room.writes.length > 0 && error instanceof ConditionFailed && error.index === 0) return 'no-room';
    throw error;
  }
  return 'turned-on';
};

const turnOff = async (
  deps: WorkflowDependencies,
  before: ContainerRecord,
  observed: ObservedContainer,
  stamp: Stamp,
): Promise<void> => {
  const off = turnedOff(before, observed, stamp);
  const why = observed.exitReason;
  const lastError = why === null || observed.exitCode === 0 ? null : deps.problem('process-exited', why);
  const after = { ...off, view: { ...off.view, lastError } };
  await deps.table.transact(await letGoOf(deps, { before, after, observed }));
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
  await deps.table.transact(await letGoOf(deps, { before, after, observed: null }));
};

/**
 * Applies one report. A host speaks only of its own: anything else it holds is a stranger, and nothing is changed.
 *
 * @param inventory whether the report is part of a whole inventory
 */
export const applyReport = (
  deps: WorkflowDependencies,
  { tenant, hostId }: Speaker,
  observed: ObservedContainer,
  inventory: boolean,
): Promise<Applied> =>
  decideAgain(async (): Promise<Applied> => {
    const item = await deps.table.get(keys.container(tenant, observed.containerId), { consistent: true });
    const before = item && parseContainer(item);
    if (before === undefined) return 'stranger';
    const active = before.view.activeOperationId !== null;
    if (before.view.hostId !== hostId) return active ? 'agrees' : 'stranger';
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
      case 'turned-on':
        return turnOn(deps, before, observed, { hostId, stamp });
      case 'turned-off':
        await turnOff(deps, before, observed, stamp);
        return meaning;
      case 'lost':
        if (now.getTime() - Date.parse(before.view.updatedAt) < SETTLED_MS) return 'doubtful';
        await lose(deps, before, { hostId, stamp });
        return meaning;
      default:
        return meaning;
    }
  });

/** What the indexes say of a host's containers; old by some moments. */
export interface HeldView {
  readonly id: string;
  readonly state: ContainerRecord['view']['state'];
  readonly active: boolean;
  readonly spec: ContainerRecord['view']['spec'];
  readonly networkPending: boolean;
  readonly process: ComputeProcessRecord['view'] | undefined;
}

const queryAll = async (table: Table, options: QueryOptions): Promise<readonly Item[]> => {
  const found: Item[] = [];
  let after: Item | undefined;
  do {
    const page = await table.query({ ...options, ...(after && { after }) });
    found.push(...page.items);
    after = page.after;
  } while (after !== undefined);
  return found;
};

/** Containers that are this host's, with their compute processes: two queries, whatever the state of each. */
export const listHeld = async (
  table: Table,
  { tenant, hostId }: Speaker,
): Promise<ReadonlyMap<string, HeldView>> => {
  const [containers, processes] = await Promise.all([
    queryAll(table, { index: 'gsi3', key: indexes.containersByHost(tenant, hostId) }),
    queryAll(table, { index: 'gsi3', key: indexes.computeProcessesByHost(tenant, hostId) }),
  ]);
  const running = new Map(processes.map(parseComputeProcess).map((one) => [one.containerId, one.view]));
  return new Map(
    containers.map(parseContainer).map(({ id, view }) => [
      id,
      {
        id,
        state: view.state,
        active: view.activeOperationId !== null,
        spec: view.spec,
        networkPending: view.networkPending,
        process: running.get(id),
      },
    ]),
  );
};

/** Whether an index already shows what the host reports, so that nothing needs to be read for it. */
export const looksRight = (held: HeldView, observed: ObservedContainer): boolean => {
  if (held.active) return false;
  if (observed.phase === 'Off') return held.state === 'Off' || held.state === 'Failed';
  return (
    observed.phase === 'Running' &&
    held.state === 'Running' &&
    held.process?.startedAt === observed.startedAt &&
    held.process?.runtimeType === observed.runtimeType &&
    held.process?.workerProcess?.pid === observed.workerProcess?.pid
  );
};

/** A container that should be on a host and is not in its inventory, as a report on it. */
export const missing = (containerId: string): ObservedContainer => ({
  containerId,
  epoch: 0,
  phase: 'Absent',
  runtimeType: 'Default',
  startedAt: null,
  exitCode: null,
  exitReason: null,
  restartCount: 0,
  workerProcess: null,
});

/** Containers of a silent host that the table still shows as running; at most `limit`. */
export const listRunning = async (
  table: Table,
  { tenant, hostId }: Speaker,
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
  return items.slice(0, limit).map((item) => parseContainer(item).id);
};

/**
 * Nobody knows whether it still runs: its host is silent. What is held for it stays held.
 *
 * @param silent the host's link as it was when the host was found silent: once it is heard of again, nothing is changed
 */
export const recordUnknown = (
  { table, now }: WorkflowDependencies,
  { tenant, containerId }: { readonly tenant: string; readonly containerId: string },
  silent: HostLinkRecord | undefined,
): Promise<boolean> =>
  decideAgain(async () => {
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
