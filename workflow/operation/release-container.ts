import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { NO_RESERVATION, subtract } from '../../core/domain/capacity.ts';
import { isNoReservation } from '../../core/domain/conversion.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { type CapacityChange, releaseCapacity } from '../../store/capacity.ts';
import { type ContainerRecord, replaceContainer, type StoredProcess } from '../../store/containers.ts';
import { keys } from '../../store/keys.ts';
import { addOperation, parseOperation, replaceOperation } from '../../store/operations.ts';
import type { Write } from '../../store/table.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { newOperation } from './new-operation.ts';
import { nextOperation } from './next-records.ts';

/** The compute process of a running container, as its host reports it. */
export const processOf = (observed: ObservedContainer | null, at: string): StoredProcess => ({
  startedAt: observed?.startedAt ?? at,
  workerProcess: observed?.workerProcess ?? null,
});

const takenBy = (container: ContainerRecord, operationId: string): ContainerRecord => ({
  ...container,
  epoch: container.epoch + 1,
  stateBefore: container.view.state,
  tombstone: null,
  view: { ...container.view, state: 'Removing', activeOperationId: operationId },
});

/** The capacity that the change frees; null if none. */
const freed = (before: ContainerRecord, after: ContainerRecord): CapacityChange | null => {
  const room =
    before.reservation === null
      ? NO_RESERVATION
      : subtract(before.reservation, after.reservation ?? NO_RESERVATION);
  const diskMB = before.heldDiskMB - after.heldDiskMB;
  return isNoReservation(room) && diskMB === 0 ? null : { ...room, diskMB };
};

/** The write of capacity that follows from a container's change of state. */
const consequences = (before: ContainerRecord, after: ContainerRecord): readonly Write[] => {
  const hostId = before.view.hostId;
  const room = freed(before, after);
  return hostId !== null && room !== null ? [releaseCapacity(before.tenant, hostId, room)] : [];
};

/** The write that releases everything that a container has reserved. */
export const releaseAll = (before: ContainerRecord): readonly Write[] =>
  consequences(before, { ...before, reservation: null, heldDiskMB: 0 });

/** The compute process after a container's change of state. */
const nextProcess = (
  before: ContainerRecord,
  after: ContainerRecord,
  observed: ObservedContainer | null,
  at: string,
): StoredProcess | null => {
  if (after.view.state === 'Running' && (observed !== null || before.view.startedAt === null))
    return processOf(observed, at);
  return before.reservation !== null && after.reservation === null ? null : after.process;
};

/** A container that its operation releases. */
interface Release {
  readonly before: ContainerRecord;
  /** Next record, without active operation; a state that holds no capacity has no reservation. */
  readonly after: ContainerRecord;
  readonly observed: ObservedContainer | null;
}

/**
 * The writes that release a container. If a removal waits, or if the container has stopped and has `autoRemove`, a
 * removal gets the container in the same transaction. The table's stream starts the removal's execution.
 */
export const releaseContainer = async (
  { table, now, newId }: WorkflowDependencies,
  { before, after: next, observed }: Release,
): Promise<readonly Write[]> => {
  const moment = now();
  const at = moment.toISOString();
  const after = { ...next, process: nextProcess(before, next, observed, at) };
  const follow = consequences(before, after);
  if (after.tombstone !== null) {
    const item = await table.get(keys.operation(after.tenant, after.tombstone), { consistent: true });
    const waiting = item && parseOperation(item);
    if (waiting === undefined || isEnded(waiting.view.state))
      return [replaceContainer(before, { ...after, tombstone: null }), ...follow];
    const taken = takenBy(after, waiting.id);
    const started = nextOperation(waiting, { after: null, epoch: taken.epoch, view: { reason: null } }, at);
    return [replaceContainer(before, taken), replaceOperation(waiting, started), ...follow];
  }
  const ended = after.view.state === 'Off' && after.reservation === null && before.reservation !== null;
  if (ended && after.view.spec.autoRemove === true) {
    const taken = takenBy(after, newId());
    const removal = newOperation(taken, {
      id: taken.view.activeOperationId ?? '',
      kind: 'remove',
      actor: 'bulkhead',
      parameters: {},
      now: moment,
    });
    return [replaceContainer(before, taken), addOperation(removal), ...follow];
  }
  return [replaceContainer(before, after), ...follow];
};
