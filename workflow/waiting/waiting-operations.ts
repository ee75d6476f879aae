import { STEPS, type WorkflowInput } from '../../core/contract/deployment.ts';
import type { Item } from '../../store/item.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes, keys } from '../../store/keys.ts';
import {
  type OperationRecord,
  parseIndexedOperation,
  parseOperation,
  replaceOperation,
} from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table } from '../../store/table.ts';
import { isCurrent, isUnwanted, readCurrentOperation } from '../operation/current-operation.ts';
import { nextOperation } from '../operation/next-records.ts';
import { isPlaced } from '../placement/place-container.ts';

/**
 * Operations that wait for capacity.
 *
 * Lifecycle: waiting (reason and token recorded) → placed (reason null, token kept) → token answered → ended. The token
 * is kept until the end, because the process that placed the container may crash before it answers. Then the sweeper
 * answers.
 *
 * The index lags behind the table, for waiting operations and for free capacity. So both sides read again after their
 * write: an operation that starts to wait tries once more, and freed capacity triggers a pass over the waiting
 * operations. The sweeper does both every minute.
 */
type WaitingOutcome = 'waiting' | 'changed';

/**
 * Records that an operation waits, the reason, and the task token to answer. A later attempt replaces the token.
 *
 * @returns `changed` if the operation has ended, was cancelled or is already placed
 */
export const recordWaiting = (
  table: Table,
  input: WorkflowInput,
  given: { readonly reason: string; readonly taskToken: string; readonly now: Date },
): Promise<WaitingOutcome> =>
  retryOnConflict(async (): Promise<WaitingOutcome> => {
    const found = await readCurrentOperation(table, input);
    if (found?.container === undefined || !isCurrent(found, input) || isUnwanted(found)) return 'changed';
    if (isPlaced(found)) return 'changed';
    const { operation } = found;
    const { reason, taskToken: placeToken } = given;
    if (operation.placeToken === placeToken && operation.view.reason === reason) return 'waiting';
    const at = given.now.toISOString();
    const before = operation.view.steps.find(({ name }) => name === STEPS.place);
    const step = {
      name: STEPS.place,
      state: 'Running' as const,
      startedAt: before?.startedAt ?? at,
      durationMs: null,
    };
    const view = { state: 'Running' as const, reason, steps: [step] };
    await table.transact([replaceOperation(operation, nextOperation(operation, { placeToken, view }, at))]);
    return 'waiting';
  });

/** A waiting operation as the index shows it; it may have been placed since. */
export interface WaitingOperation {
  readonly input: WorkflowInput;
  readonly reason: string | null;
  readonly updatedAt: string;
}

const waitingOperationOf = (item: Item): WaitingOperation => {
  const { tenant, id, view } = parseIndexedOperation(item);
  return {
    // The index has no epoch. The caller reads the operation itself before it acts.
    input: { tenant, operationId: id, containerId: view.containerId, epoch: 0 },
    reason: view.reason,
    updatedAt: view.updatedAt,
  };
};

const PAGE = 50;

/** Operations of a tenant that wait for capacity, or were placed and have not ended; oldest first. */
export async function* listWaitingOperations(table: Table, tenant: string): AsyncGenerator<WaitingOperation> {
  let after: Item | undefined;
  do {
    const page = await table.query({
      index: 'gsi2',
      key: indexes.waitingOperations(tenant),
      sort: 'any',
      limit: PAGE,
      ...(after && { after }),
    });
    yield* readEach(table, page.items, waitingOperationOf);
    after = page.after;
  } while (after !== undefined);
}

/** The whole operation; undefined if it no longer exists. */
export const readWaitingOperation = async (
  table: Table,
  waiting: WaitingOperation,
): Promise<OperationRecord | undefined> => {
  const { tenant, operationId } = waiting.input;
  const item = await table.get(keys.operation(tenant, operationId), { consistent: true });
  return item && parseOperation(item);
};
