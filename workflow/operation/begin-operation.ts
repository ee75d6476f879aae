import type { ContainerRecord, OperationRecord } from '../../store/records.ts';
import type { Table, Write } from '../../store/table.ts';
import { addOperation, replaceContainer, replaceOperation } from '../../store/writes.ts';

export interface Begin {
  readonly before: ContainerRecord;
  /** With the operation as its active one. */
  readonly after: ContainerRecord;
  readonly operation: OperationRecord;
  readonly remember: readonly Write[];
  readonly token: string;
}

/**
 * Takes a container for an operation: both, and the kept answer, in one transaction.
 * @throws ConditionFailed at index 0 if the container is no longer as it was read
 */
export const beginOperation = (
  table: Table,
  { before, after, operation, remember, token }: Begin,
): Promise<void> =>
  table.transact([replaceContainer(before, after), addOperation(operation), ...remember], token);

/** Records an operation that had nothing to do, and the kept answer. */
export const recordOperation = (
  table: Table,
  operation: OperationRecord,
  remember: readonly Write[],
): Promise<void> => table.transact([addOperation(operation), ...remember], operation.id);

export interface Overtake extends Begin {
  /** The operation that has the container, as it was read, and as it is asked to end; null if it was already. */
  readonly active: { readonly before: OperationRecord; readonly after: OperationRecord } | null;
}

/**
 * Queues a removal behind the operation that has the container, and asks that one to end: in one transaction.
 * @throws ConditionFailed if container or operation are no longer as they were read
 */
export const overtakeOperation = (
  table: Table,
  { before, after, operation, remember, token, active }: Overtake,
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
