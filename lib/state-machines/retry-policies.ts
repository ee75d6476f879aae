import { TIMES, WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';

/** A retrier in the Amazon States Language. */
export interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds?: number;
  readonly BackoffRate?: number;
  readonly MaxAttempts: number;
  readonly MaxDelaySeconds?: number;
  readonly JitterStrategy?: 'FULL';
}

/** Errors of Bulkhead, which a retry would not fix. First in the list, because the first match decides. */
export const NEVER_RETRIED: Retrier = { ErrorEquals: Object.values(WORKFLOW_ERRORS), MaxAttempts: 0 };

/**
 * Lambda failed, or the function was interrupted. Each function that a machine calls is idempotent.
 *
 * Waits at most 1 + 2 + 4 + 8 + 16 + 20 = 51 s, and half of that on average: full jitter picks each wait between zero
 * and its maximum.
 */
export const LAMBDA_FAILED: Retrier = {
  ErrorEquals: [
    'Lambda.ClientExecutionTimeoutException',
    'Lambda.ServiceException',
    'Lambda.AWSLambdaException',
    'Lambda.SdkClientException',
    'Lambda.TooManyRequestsException',
    'Lambda.Unknown',
    'Sandbox.Timedout',
  ],
  IntervalSeconds: 1,
  BackoffRate: 2,
  MaxAttempts: 6,
  MaxDelaySeconds: 20,
  JitterStrategy: 'FULL',
};

/**
 * The function is at its concurrency limit, usually because of many events at once. Events must not be lost because of
 * that. Waits at most 2 + 4 + 8 + 16 + 32 + 60 × 15 s = 16 minutes, half of that on average.
 */
export const LAMBDA_THROTTLED: Retrier = {
  ErrorEquals: ['Lambda.TooManyRequestsException'],
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxAttempts: 20,
  MaxDelaySeconds: 60,
  JitterStrategy: 'FULL',
};

/**
 * The function threw, most likely because the table was busy for longer than its own retries. For steps that must
 * complete, because no later step handles their failure.
 *
 * Waits at most 2 + 4 + 8 + 16 = 30 s, half of that on average.
 */
export const FUNCTION_FAILED: Retrier = {
  ErrorEquals: ['States.TaskFailed', 'States.Timeout'],
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxAttempts: 4,
  JitterStrategy: 'FULL',
};

/**
 * No free capacity was announced: try again. As often as fits before the deadline, plus once, so that the deadline ends
 * the wait and not this policy.
 */
export const PLACEMENT_WAITS: Retrier = {
  ErrorEquals: ['States.HeartbeatTimeout'],
  IntervalSeconds: 1,
  BackoffRate: 1,
  MaxAttempts: Math.ceil(TIMES.operationDeadlineSeconds / TIMES.placementRetrySeconds) + 1,
};
