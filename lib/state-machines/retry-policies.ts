import { TIMES, WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';

/** A retrier as the States Language writes it. */
export interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds?: number;
  readonly BackoffRate?: number;
  readonly MaxAttempts: number;
  readonly MaxDelaySeconds?: number;
  readonly JitterStrategy?: 'FULL';
}

/** Ours to say, and final: the same step would fail again. It stands first, because the first match decides. */
export const NEVER_RETRIED: Retrier = { ErrorEquals: Object.values(WORKFLOW_ERRORS), MaxAttempts: 0 };

/**
 * Lambda itself failed, or the function was cut off half way. Each function that a machine calls is idempotent.
 *
 * Waits at most 1 + 2 + 4 + 8 + 16 + 20 = 51 s, half of that on average, since full jitter takes each wait between
 * nothing and its whole.
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
 * All invocations of the function that may run at the same time do: usually many events at once. An event must not be lost
 * for that. Waits at most 2 + 4 + 8 + 16 + 32 + 60 × 15 s = 16 minutes, half of that on average.
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
 * The function threw, most likely because the table was busy for longer than its own retries: for steps that must
 * come to pass and that nobody outside can fail.
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
 * Nobody said that there is room: look again. As often as fits before the deadline, and once more, so that it is
 * the deadline that ends the waiting and not this policy.
 */
export const PLACEMENT_WAITS: Retrier = {
  ErrorEquals: ['States.HeartbeatTimeout'],
  IntervalSeconds: 1,
  BackoffRate: 1,
  MaxAttempts: Math.ceil(TIMES.operationDeadlineSeconds / TIMES.placementRetrySeconds) + 1,
};
