import type { Effects } from './effects.ts';

/**
 * Decides whether a call is retried.
 *
 * Reads and mutations with an idempotency key can be repeated safely. Other calls are repeated only after 429, because
 * such a request was not processed. These failures are retried:
 * - no response, 502 and 503
 * - 500 and 504 from a gateway, which has no problem document, unlike those from the API
 * - 429 from a gateway, and 429 with Retry-After from the API
 */
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;
/** Maximum Retry-After to wait for. After a longer one the caller gets the error. */
const MAX_RETRY_AFTER_MS = 30_000;

export interface Outcome {
  readonly status: number;
  readonly isProblem: boolean;
  readonly retryAfter: string | null;
}

/** `Retry-After` in milliseconds from now: seconds, or an HTTP date. Undefined if missing or invalid. */
export const retryAfterMs = (value: string | null, now: number): number | undefined => {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
};

const isRetried = ({ status, isProblem, retryAfter }: Outcome): boolean => {
  if (status === 502 || status === 503) return true;
  if (status === 429) return retryAfter !== null || !isProblem;
  return !isProblem && (status === 500 || status === 504);
};

/** Full jitter, so that clients that were disconnected together do not retry together. */
const backoffMs = (attempt: number, random: () => number): number =>
  Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt) * random();

/**
 * @param attempt number of earlier attempts
 * @param outcome undefined: no response
 * @returns the pause before the next attempt in milliseconds, or undefined for no further attempt
 */
export const pauseBeforeRetry = (
  attempt: number,
  outcome: Outcome | undefined,
  { attempts, random, now }: Effects,
): number | undefined => {
  if (attempt + 1 >= attempts) return undefined;
  if (outcome === undefined) return backoffMs(attempt, random);
  if (!isRetried(outcome)) return undefined;
  const requestedMs = retryAfterMs(outcome.retryAfter, now());
  if (requestedMs === undefined) return backoffMs(attempt, random);
  return requestedMs > MAX_RETRY_AFTER_MS ? undefined : requestedMs + backoffMs(0, random);
};
