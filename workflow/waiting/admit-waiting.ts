import type { WorkflowInput } from '../../core/contract/deployment.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { Logger } from '../logger.ts';
import { failCancelled, failSuperseded } from '../operation/fail-step.ts';
import { type PlacementDependencies, placeContainer } from '../placement/place-container.ts';
import type { Tasks } from '../tasks.ts';
import { listWaitingOperations, readWaitingOperation, type WaitingOperation } from './waiting-operations.ts';

export interface AdmitDependencies extends PlacementDependencies {
  readonly tasks: Tasks;
  readonly logger: Logger;
}

interface AdmitOptions {
  /** Milliseconds since 1970 after which no placement starts. The oldest operations get half the time until then. */
  readonly until: number;
  /**
   * Whether to repeat the answer to tasks of operations that were placed a while ago and have not ended: the process that
   * placed them may have crashed before it answered.
   */
  readonly answerAgain: boolean;
}

interface Admitted {
  readonly placed: number;
  /** Whether every waiting operation has been tried. */
  readonly complete: boolean;
}

/** Minimum time before a task is answered again, in milliseconds. */
const ANSWER_AGAIN_MS = 30_000;

const inputOf = ({ tenant, id, epoch, view }: OperationRecord): WorkflowInput => ({
  tenant,
  operationId: id,
  containerId: view.containerId,
  epoch,
});

/**
 * Waiting operations, oldest first, for half the time until `until`. If more are left, the rest of the list is
 * collected for at most half the remaining time, then tried in order from a random position. So every operation is
 * tried eventually, even if the list is too long for one call and the first ones never fit.
 */
async function* inOrder(
  waitingOperations: AsyncIterable<WaitingOperation>,
  { now, random }: Pick<AdmitDependencies, 'now' | 'random'>,
  until: number,
): AsyncGenerator<WaitingOperation> {
  const start = now().getTime();
  const [oldestUntil, listUntil] = [0.5, 0.75].map((part) => start + (until - start) * part) as [
    number,
    number,
  ];
  const rest: WaitingOperation[] = [];
  for await (const waiting of waitingOperations) {
    const at = now().getTime();
    if (at <= oldestUntil) yield waiting;
    else rest.push(waiting);
    if (at > listUntil) break;
  }
  const first = Math.floor(random() * rest.length);
  yield* rest.slice(first);
  yield* rest.slice(0, first);
}

/**
 * Places a tenant's waiting operations, oldest first; see {@link inOrder} for a list that is too long for one call. An
 * operation that does not fit keeps waiting. All are tried, because a smaller one further back may fit, except those
 * with the same requirements as one that did not fit.
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
    const outcome = await placeContainer(deps, inputOf(operation), { skip: noFit });
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
        if (outcome.requirements !== undefined) noFit.add(outcome.requirements);
    }
  };

  const isDue = (waiting: WaitingOperation): boolean =>
    waiting.reason !== null ||
    (options.answerAgain && now().getTime() - Date.parse(waiting.updatedAt) > ANSWER_AGAIN_MS);

  for await (const waiting of inOrder(listWaitingOperations(table, tenant), deps, options.until)) {
    if (now().getTime() > options.until) return { placed, complete: false };
    if (!isDue(waiting)) continue;
    try {
      const operation = await readWaitingOperation(table, waiting);
      if (operation === undefined || operation.placeToken === null || isEnded(operation.view.state)) continue;
      await admit(operation, operation.placeToken);
    } catch (error) {
      // Continue with the next one; the sweeper tries this one again.
      logger.warn('waiting operation could not be tried', { ...waiting.input }, error);
    }
  }
  return { placed, complete: true };
};
