import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { type ContainerRecord, parseContainer } from '../../store/containers.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes } from '../../store/keys.ts';
import { lookUp } from '../../store/look-up.ts';
import { queryAll } from '../../store/query-all.ts';
import type { Table } from '../../store/table.ts';
import type { HostRef } from './apply-report.ts';

/** A container of a host, which may be slightly stale. */
interface HeldView {
  readonly id: string;
  readonly state: ContainerRecord['view']['state'];
  readonly active: boolean;
  readonly spec: ContainerRecord['view']['spec'];
  readonly networkPending: boolean;
  readonly runtimeType: ContainerRecord['view']['runtimeType'];
  readonly process: ContainerRecord['process'];
}

/**
 * The containers of a host in any state. Items that cannot be read are missing: reports on them are checked against the
 * container's own item.
 */
export const listHeld = async (
  table: Table,
  { tenant, hostId }: HostRef,
): Promise<ReadonlyMap<string, HeldView>> => {
  const found = await queryAll(table, { index: 'gsi3', key: indexes.containersByHost(tenant, hostId) });
  const containers = (await lookUp(table, found)).filter((item) => item !== undefined);
  return new Map(
    readEach(table, containers, parseContainer).map(({ id, view, process }) => [
      id,
      {
        id,
        state: view.state,
        active: view.activeOperationId !== null,
        spec: view.spec,
        networkPending: view.networkPending,
        runtimeType: view.runtimeType,
        process,
      },
    ]),
  );
};

/** Whether the index already matches the report, so that the container need not be read. */
export const matchesIndex = (held: HeldView, observed: ObservedContainer): boolean => {
  if (held.active) return false;
  if (observed.phase === 'Off') return held.state === 'Off' || held.state === 'Failed';
  return (
    observed.phase === 'Running' &&
    held.state === 'Running' &&
    held.process?.startedAt === observed.startedAt &&
    held.runtimeType === observed.runtimeType &&
    held.process?.workerProcess?.pid === observed.workerProcess?.pid
  );
};

/** The report for a container that should be on a host but is missing from its inventory. */
export const missingReport = (containerId: string): ObservedContainer => ({
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
