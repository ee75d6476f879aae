import { type ContainerRecord, replaceContainer } from '../../store/containers.ts';
import { addOperation, type OperationRecord, replaceOperation } from '../../store/operations.ts';
import type { Table, Write } from '../../store/table.ts';

interface Begin {
  readonly before: ContainerRecord;
  /** With the operation as its active operation. */
  readonly after: ContainerRecord;
  readonly operation: OperationRecord;
  readonly remember: readonly Write[];
  readonly token: string;
}

/**
 * Starts an operation on a container: writes both, and the stored response, in one transaction.
 * @throws ConditionFailed at index 0 if the container has changed since it was read
 */
export const beginOperation = (
  table: Table,
  { before, after, operation, remember, token }: Begin,
): Promise<void> =>
  table.transact([replaceContainer(before, after), addOperation(operation), ...remember], token);

/** Records an operation that had nothing to do, and the stored response. */
export const recordOperation = (
  table: Table,
  operation: OperationRecord,
  remember: readonly Write[],
): Promise<void> => table.transact([addOperation(operation), ...remember], operation.id);

interface Supersede extends Begin {
  /** The active operation as it was read and as it is cancelled; null if it was being cancelled already. */
  readonly active: { readonly before: OperationRecord; readonly after: OperationRecord } | null;
}

/**
 * Queues a removal behind the active operation of the container and cancels that operation, in one transaction.
 * @throws ConditionFailed if the container or the operation has changed since it was read
 */
export const supersedeOperation = (
  table: Table,
  { before, after, operation, remember, token, active }: Supersede,
): Promise<void> =>
  table.transact(
    [
      replaceContainer(before, after),
      addOperation(operation),
      ...(active === null ? [] : [replaceOperation(active.before, active.after)]),
      ...remember,
    ],
    token,
  );
