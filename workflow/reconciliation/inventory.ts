import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { indexes } from '../../store/keys.ts';
import { parseComputeProcess, parseContainer } from '../../store/parse.ts';
import { queryAll } from '../../store/query-all.ts';
import type { ComputeProcessRecord, ContainerRecord } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import type { HostRef } from './apply-report.ts';

/** What the indexes say of a host's containers; old by some moments. */
export interface HeldView {
  readonly id: string;
  readonly state: ContainerRecord['view']['state'];
  readonly active: boolean;
  readonly spec: ContainerRecord['view']['spec'];
  readonly networkPending: boolean;
  readonly process: ComputeProcessRecord['view'] | undefined;
}

/** Containers that are this host's, with their compute processes: two queries, whatever the state of each. */
export const listHeld = async (
  table: Table,
  { tenant, hostId }: HostRef,
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
