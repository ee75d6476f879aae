import { ConflictError } from '../../../core/domain/errors.ts';
import { findAnswer, type IdempotencyScope, keepAnswer, requestHash } from '../../../store/idempotency.ts';
import { ConditionFailed, type Table, type Write } from '../../../store/table.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Answer, HttpResponse } from './exchange.ts';
import { toResponse } from './respond.ts';

/**
 * The same key with the same request returns the same response, byte for byte. With another request it is refused.
 *
 * The response is stored in the transaction that makes the change. Of two concurrent requests with one key, one
 * transaction is first. The other request fails, on the stored response or on the changed state, and then reads the stored
 * response. Only responses of successful changes are stored: a refused request has changed nothing, so its repeat is
 * processed again.
 */
interface Attempt {
  readonly scope: IdempotencyScope;
  /** See {@link requestHash}. */
  readonly requestHash: string;
}

interface IdempotencyDependencies extends Pick<Dependencies, 'now' | 'randomBytes'> {
  readonly table: Table;
}

type Remember = (answer: Answer) => readonly Write[];

const replay = async (attempt: Attempt, dependencies: IdempotencyDependencies) => {
  const kept = await findAnswer(dependencies.table, attempt.scope, dependencies.now());
  if (kept === undefined) return undefined;
  if (kept.requestHash !== attempt.requestHash)
    throw new ConflictError('idempotency-key-reused', 'The Idempotency-Key was used for another request.', {
      suggestion: 'Use a new Idempotency-Key for each new request.',
    });
  return { statusCode: kept.status, headers: kept.headers, body: kept.body };
};

/** @param act carries out the request, with the write that stores its response */
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
    // The request changed nothing, so the response is stored by a separate write.
    if (kept !== answer) await dependencies.table.transact(remember(answer));
    return toResponse(answer);
  } catch (error) {
    const meanwhile = await replay(attempt, dependencies);
    if (meanwhile !== undefined) return meanwhile;
    // A stored response made the write fail and has expired since, so this is a conflict.
    throw error instanceof ConditionFailed
      ? new ConflictError(
          'idempotency-key-reused',
          'Another request with this Idempotency-Key has just expired.',
          {
            cause: error,
          },
        )
      : error;
  }
};

export { requestHash };
