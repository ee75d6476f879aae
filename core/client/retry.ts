import type { Effects } from './effects.ts';

/**
 * Decides whether a call is retried.
 *
 * Reads and mutations with an idempotency key can be repeated safely. Other calls are repeated only after 429, which means
 * that nothing was done. Retried are: no response, 502, 503, a gateway's 500 and 504 (which, unlike the API's, have no
 * problem document), a gateway's 429, and the API's 429 with Retry-After.
 */
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5_000;
/** Maximum Retry-After to wait for. After a longer one the caller gets the error. */
const LONGEST_RETRY_AFTER_MS = 30_000;

export interface Outcome {
  readonly status: number;
  readonly isProblem: boolean;
  readonly retryAfter: string | null;
}

/** `Retry-After` in milliseconds from now: seconds, or a date of HTTP. Undefined if missing or invalid. */
export const retryAfterMs = (value: string | null, now: number): number | undefined => {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
};

const mayBeRepeated = ({ status, isProblem, retryAfter }: Outcome): boolean => {
  if (status === 502 || status === 503) return true;
  if (status === 429) return retryAfter !== null || !isProblem;
  return !isProblem && (status === 500 || status === 504);
};

/** Full jitter, so that clients that were disconnected together do not retry together. */
const backoffMs = (attempt: number, random: () => number): number =>
  Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt) * random();

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
  if (!mayBeRepeated(outcome)) return undefined;
  const asked = retryAfterMs(outcome.retryAfter, now());
  if (asked === undefined) return backoffMs(attempt, random);
  return asked > LONGEST_RETRY_AFTER_MS ? undefined : asked + backoffMs(0, random);
};
