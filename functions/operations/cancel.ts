import { ConflictError } from '../../core/domain/errors.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { createProblem } from '../../core/domain/problems.ts';
import { getContainerNow } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/records.ts';
import type { Table, Write } from '../../store/table.ts';
import { replaceContainer, replaceOperation } from '../../store/writes.ts';
import { endedOperation, nextContainer, nextOperation } from '../../workflow/operation/next-records.ts';

/** What cancelling comes to: the operation as it is then, and the writes that make it so. */
export interface Cancellation {
  readonly operation: OperationRecord;
  readonly writes: readonly Write[];
}

/** A removal that still waits for another operation has no workflow: it ends here, and its container is let be. */
const cancelWaiting = async (
  table: Table,
  operation: OperationRecord,
  at: string,
  actor: string,
): Promise<Cancellation> => {
  const { tenant, view } = operation;
  const error = createProblem('operation-cancelled', 'The operation was cancelled.');
  const ended = endedOperation(operation, 'Cancelled', { error, steps: [] }, at);
  const container =
    view.containerId === null ? undefined : await getContainerNow(table, tenant, view.containerId);
  return {
    operation: ended,
    writes: [
      replaceOperation(operation, ended),
      ...(container?.tombstone === operation.id
        ? [replaceContainer(container, nextContainer(container, { tombstone: null }, { at, actor }))]
        : []),
    ],
  };
};

/**
 * What it takes to cancel an operation as it stands now.
 * @throws ConflictError `operation-already-ended` if it was done, or failed
 */
export const cancellationOf = async (
  table: Table,
  operation: OperationRecord,
  at: string,
  actor: string,
): Promise<Cancellation> => {
  const { state } = operation.view;
  if (state === 'Cancelling' || state === 'Cancelled') return { operation, writes: [] };
  if (isEnded(state))
    throw new ConflictError('operation-already-ended', `The operation is ${state}.`, { context: { state } });
  if (operation.after !== null) return cancelWaiting(table, operation, at, actor);
  const cancelling = nextOperation(operation, { view: { state: 'Cancelling' } }, at);
  return { operation: cancelling, writes: [replaceOperation(operation, cancelling)] };
};
