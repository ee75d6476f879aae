import { ConflictError } from '../../../core/domain/errors.ts';
import { findAnswer, type IdempotencyScope, keepAnswer, requestHash } from '../../../store/idempotency.ts';
import { ConditionFailed, type Table, type Write } from '../../../store/table.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Answer, HttpResponse } from './exchange.ts';
import { toResponse } from './respond.ts';

/**
 * Same key and same request: the same answer, to the byte; other request: refused.
 *
 * The answer is kept in the same transaction as what it tells of. Of two requests with one key at the same time
 * one's transaction is first, and the other, whatever stopped it (the kept answer, or the state that the first
 * has made), finds the answer when it looks again. Only answers that something was done are kept: a request that
 * was refused has changed nothing, and its repeat is looked at anew.
 */
export interface Attempt {
  readonly scope: IdempotencyScope;
  /** See {@link requestHash}. */
  readonly requestHash: string;
}

export interface IdempotencyDependencies extends Pick<Dependencies, 'now' | 'randomBytes'> {
  readonly table: Table;
}

type Remember = (answer: Answer) => readonly Write[];

const replay = async (attempt: Attempt, dependencies: IdempotencyDependencies) => {
  const kept = await findAnswer(dependencies.table, attempt.scope, dependencies.now());
  if (kept === undefined) return undefined;
  if (kept.requestHash !== attempt.requestHash)
    throw new ConflictError('idempotency-key-reused', 'The key was used for another request.', {
      suggestion: 'Use a new Idempotency-Key for each new request.',
    });
  return { statusCode: kept.status, headers: kept.headers, body: kept.body };
};

/** @param act does the request, with the write that keeps its answer */
export const answerOnce = async (
  attempt: Attempt,
  dependencies: IdempotencyDependencies,
  act: (remember: Remember) => Promise<Answer>,
): Promise<HttpResponse> => {
  const earlier = await replay(attempt, dependencies);
  if (earlier !== undefined) return earlier;
  let kept: Answer | undefined;
  const remember: Remember = (answer) => {
    kept = answer;
    const { statusCode, headers, body } = toResponse(answer);
    return [
      keepAnswer(
        attempt.scope,
        { requestHash: attempt.requestHash, status: statusCode, headers, body },
        dependencies.now(),
        dependencies.randomBytes(12),
      ),
    ];
  };
  try {
    const answer = await act(remember);
    // Nothing was written (it was so already): the answer is kept by a write of its own.
    if (kept !== answer) await dependencies.table.transact(remember(answer));
    return toResponse(answer);
  } catch (error) {
    const meanwhile = await replay(attempt, dependencies);
    if (meanwhile !== undefined) return meanwhile;
    // Ours was the condition, but the answer has expired between: as if another had been in the way.
    throw error instanceof ConditionFailed
      ? new ConflictError('idempotency-key-reused', 'The key was in use a moment ago.', { cause: error })
      : error;
  }
};

export { requestHash };
