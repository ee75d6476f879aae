import { STEPS, type WorkflowInput } from '../../core/contract/deployment.ts';
import type { Item } from '../../store/item.ts';
import { indexes, keys } from '../../store/keys.ts';
import { parseOperation } from '../../store/parse.ts';
import type { OperationRecord } from '../../store/records.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table } from '../../store/table.ts';
import { replaceOperation } from '../../store/writes.ts';
import { isCurrent, isUnwanted, readCurrentOperation } from '../operation/current-operation.ts';
import { nextOperation } from '../operation/next-records.ts';
import { isPlaced } from '../placement/place-container.ts';

/**
 * Operations that wait for room.
 *
 * Lifecycle: waiting (reason and token recorded) → placed (reason null, token kept) → token answered → ended. The
 * token is kept until the end, because whoever placed it may die before answering; the sweeper answers it again then.
 * Trap: index and table are not of the same moment, neither for who waits nor for who gives room. So both look after
 * they have written: a waiter for room, whoever gives room for waiters; and the sweeper every minute for both.
 */
export type WaitingOutcome = 'waiting' | 'changed';

/**
 * Records that an operation waits, for what, and the token that is to be answered. A later try replaces the token.
 *
 * @returns `changed` if it is no longer to be placed, or already is
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

/** What the index says of an operation that waits, or waited, for room. */
export interface Waiter {
  readonly input: WorkflowInput;
  readonly reason: string | null;
  readonly updatedAt: string;
}

const waiterOf = (item: Item): Waiter => {
  const { tenant, id, view } = parseOperation(item);
  return {
    // The epoch is not in the index; whoever goes on reads the operation itself.
    input: { tenant, operationId: id, containerId: view.containerId, epoch: 0 },
    reason: view.reason,
    updatedAt: view.updatedAt,
  };
};

const PAGE = 50;

/** Operations of a tenant that wait for room, or were given it and have not ended; oldest first. */
export async function* listWaiters(table: Table, tenant: string): AsyncGenerator<Waiter> {
  let after: Item | undefined;
  do {
    const page = await table.query({
      index: 'gsi4',
      key: indexes.waitingOperations(tenant),
      sort: 'any',
      limit: PAGE,
      ...(after && { after }),
    });
    for (const item of page.items) yield waiterOf(item);
    after = page.after;
  } while (after !== undefined);
}

/** The whole operation of a waiter; undefined if it is no longer there. */
export const readWaiter = async (table: Table, waiter: Waiter): Promise<OperationRecord | undefined> => {
  const { tenant, operationId } = waiter.input;
  const item = await table.get(keys.operation(tenant, operationId), { consistent: true });
  return item && parseOperation(item);
};
