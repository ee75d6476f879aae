import type { Effects } from './effects.ts';

/**
 * When a call is tried again.
 *
 * Reads and mutations with an idempotency key may be repeated freely: the same key gives the same answer. Nothing
 * else is, but for 429, after which nothing was done. What is repeated: no answer at all, 502 and 503 (and 500 and 504
 * of a gateway, which, unlike those of the API, carry no problem document), and 429 of a gateway, or where the API says
 * after how long.
 */
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5_000;
/** An API that asks for a longer pause than this is not waited for: the caller is told. */
const LONGEST_RETRY_AFTER_MS = 30_000;

export interface Outcome {
  readonly status: number;
  readonly isProblem: boolean;
  readonly retryAfter: string | null;
}

/** `Retry-After` in milliseconds from now: seconds, or a date of HTTP. Undefined where there is none to be read. */
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

/** Full jitter, so that clients which were cut off together don't come back together. */
const backoffMs = (attempt: number, random: () => number): number =>
  Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt) * random();

/**
 * @param attempt how many were made before this one
 * @param outcome undefined: nobody answered
 * @returns the pause before the next attempt in milliseconds, or undefined if there is to be none
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
