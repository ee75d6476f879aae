import type { WorkflowInput } from '../../core/contract/deployment.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import type { OperationRecord } from '../../store/records.ts';
import type { Logger } from '../logger.ts';
import { failCancelled, failSuperseded } from '../operation/fail-step.ts';
import { type PlacementDependencies, placeContainer } from '../placement/place-container.ts';
import type { Tasks } from '../tasks.ts';
import { listWaiters, readWaiter, type Waiter } from './waiting-operations.ts';

export interface AdmitDependencies extends PlacementDependencies {
  readonly tasks: Tasks;
  readonly logger: Logger;
}

export interface AdmitOptions {
  /** Milliseconds since 1970 after which nothing more is begun. Half the time until then is for the oldest. */
  readonly until: number;
  /**
   * Whether tasks of operations that were placed a while ago, and have not ended, are answered again: whoever placed
   * them may have died before answering.
   */
  readonly answerAgain: boolean;
}

export interface Admitted {
  readonly placed: number;
  /** Whether every waiter has been looked at. */
  readonly complete: boolean;
}

/** An answer that was given is not given again before, in milliseconds. */
const ANSWER_AGAIN_MS = 30_000;

const inputOf = ({ tenant, id, epoch, view }: OperationRecord): WorkflowInput => ({
  tenant,
  operationId: id,
  containerId: view.containerId,
  epoch,
});

/**
 * Waiters oldest first for half the time until `until`. If more are left then, the list is read on, without looking at
 * what is in it, for at most half the rest of the time; those found come in order from a random one of them. So each
 * is looked at sooner or later, also if those before it never fit and there are too many for one call.
 */
async function* inOrder(
  waiters: AsyncIterable<Waiter>,
  { now, random }: Pick<AdmitDependencies, 'now' | 'random'>,
  until: number,
): AsyncGenerator<Waiter> {
  const start = now().getTime();
  const [oldestUntil, listUntil] = [0.5, 0.75].map((part) => start + (until - start) * part) as [
    number,
    number,
  ];
  const rest: Waiter[] = [];
  for await (const waiter of waiters) {
    const at = now().getTime();
    if (at <= oldestUntil) yield waiter;
    else rest.push(waiter);
    if (at > listUntil) break;
  }
  const first = Math.floor(random() * rest.length);
  yield* rest.slice(first);
  yield* rest.slice(0, first);
}

/**
 * Gives room to the operations of a tenant that wait for it, oldest first; see {@link inOrder} for a list that is too
 * long for one call. One that doesn't fit stays; a smaller one behind it may fit, so all are looked at, but those that
 * want the same as one that didn't fit are passed over.
 */
export const admitWaiting = async (
  deps: AdmitDependencies,
  tenant: string,
  options: AdmitOptions,
): Promise<Admitted> => {
  const { table, tasks, logger, now } = deps;
  const noFit = new Set<string>();
  let placed = 0;

  const admit = async (operation: OperationRecord, token: string): Promise<void> => {
    const outcome = await placeContainer(deps, inputOf(operation), { passOver: noFit });
    switch (outcome.kind) {
      case 'placed':
      case 'placed-already':
        placed += outcome.kind === 'placed' ? 1 : 0;
        await tasks.succeed(token, {});
        return;
      case 'unwanted':
        await failCancelled(tasks, token);
        return;
      case 'superseded':
        await failSuperseded(tasks, token);
        return;
      case 'no-fit':
        if (outcome.want !== undefined) noFit.add(outcome.want);
    }
  };

  const isDue = (waiter: Waiter): boolean =>
    waiter.reason !== null ||
    (options.answerAgain && now().getTime() - Date.parse(waiter.updatedAt) > ANSWER_AGAIN_MS);

  for await (const waiter of inOrder(listWaiters(table, tenant), deps, options.until)) {
    if (now().getTime() > options.until) return { placed, complete: false };
    if (!isDue(waiter)) continue;
    const operation = await readWaiter(table, waiter);
    if (operation === undefined || operation.placeToken === null || isEnded(operation.view.state)) continue;
    try {
      await admit(operation, operation.placeToken);
    } catch (error) {
      // The next one may do; this one is looked at again by the sweeper.
      logger.warn('waiting operation not looked at', { tenant, operationId: operation.id }, error);
    }
  }
  return { placed, complete: true };
};
