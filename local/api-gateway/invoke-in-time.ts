import type { Clock, FunctionInvoker, InvocationResult } from '../engine.ts';
import { ThrottledError } from '../errors.ts';

/** The function failed, or could not be called; `detail` is for the access log. */
export interface IntegrationFailure {
  readonly outcome: 'failed' | 'timed-out' | 'throttled';
  readonly detail: string;
  /** JSON text: the function's error, if the function failed. */
  readonly payload?: string;
}

export interface IntegrationAnswer {
  readonly outcome: 'answered';
  /** JSON text. */
  readonly payload: string;
}

interface Called {
  readonly functionArn: string;
  readonly payload: string;
  readonly timeoutMs: number;
}

const resultOf = ({ payload, functionError }: InvocationResult): IntegrationAnswer | IntegrationFailure =>
  functionError === undefined
    ? { outcome: 'answered', payload }
    : { outcome: 'failed', detail: `function error ${functionError}`, payload };

/** Invokes a function and waits at most the integration's time limit. The function itself continues. */
export const invokeInTime = async (
  functions: FunctionInvoker,
  clock: Clock,
  { functionArn, payload, timeoutMs }: Called,
): Promise<IntegrationAnswer | IntegrationFailure> => {
  const abandoned = new AbortController();
  const limit = Promise.withResolvers<IntegrationFailure>();
  const cancel = clock.after(timeoutMs, () => {
    limit.resolve({ outcome: 'timed-out', detail: `no response within ${timeoutMs} ms` });
    abandoned.abort();
  });
  const call = functions.invoke(functionArn, payload, abandoned.signal).then(
    resultOf,
    (error: unknown): IntegrationFailure => ({
      outcome: error instanceof ThrottledError ? 'throttled' : 'failed',
      detail: String(error),
    }),
  );
  try {
    return await Promise.race([call, limit.promise]);
  } finally {
    cancel();
  }
};
