import { ConflictError } from '../../core/domain/errors.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { createProblem } from '../../core/domain/problems.ts';
import { getContainerNow, replaceContainer } from '../../store/containers.ts';
import { type OperationRecord, replaceOperation } from '../../store/operations.ts';
import type { Table, Write } from '../../store/table.ts';
import { endedOperation, nextContainer, nextOperation } from '../../workflow/operation/next-records.ts';

/** The cancelled operation, and the writes that cancel it. */
interface Cancellation {
  readonly operation: OperationRecord;
  readonly writes: readonly Write[];
}

/** A removal that still waits for another operation has no workflow. It ends here, and its container is kept. */
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
 * How to cancel an operation in its current state.
 * @throws ConflictError `operation-already-ended` if it has succeeded or failed
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
