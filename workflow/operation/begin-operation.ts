import { isReservationLost, RESERVE_RETRIES } from '../../store/capacity.ts';
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

interface BeginPlaced extends Begin {
  /** Reserves capacity for a container that is placed already. */
  readonly reserve?: Write | undefined;
}

/** Index of the reservation in the transaction, not counting the write of the stored response. */
const RESERVE_WRITE = 2;

/**
 * Starts an operation on a container: writes both, and the stored response, in one transaction.
 * @returns false if the capacity that it reserves is not free, and nothing was written
 * @throws ConditionFailed at index 0 if the container has changed since it was read
 */
export const beginOperation = async (
  table: Table,
  { before, after, operation, remember, reserve, token }: BeginPlaced,
): Promise<boolean> => {
  const writes = [replaceContainer(before, after), addOperation(operation), ...remember];
  if (reserve === undefined) {
    await table.transact(writes, token);
    return true;
  }
  try {
    await table.transact([...writes, reserve], token, { retries: RESERVE_RETRIES });
    return true;
  } catch (error) {
    if (isReservationLost(error, RESERVE_WRITE + remember.length)) return false;
    throw error;
  }
};

/** Records an operation that had nothing to do, and the stored response. */
export const recordOperation = (
  table: Table,
  operation: OperationRecord,
  remember: readonly Write[],
): Promise<void> => table.transact([addOperation(operation), ...remember], operation.id);

interface Supersede extends Begin {
  /** The active operation as read and as cancelled; null if it is already being cancelled. */
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
