import { isObject, type Json, type JsonObject } from '../json.ts';
import type { StateFailure } from '../state-failure.ts';

/** Whether States.TaskFailed matches an error: it matches all but timeouts. */
const NOT_TASK_FAILED = new Set(['States.Timeout', 'States.HeartbeatTimeout']);

const names = (entry: JsonObject): Json[] => {
  return Array.isArray(entry.ErrorEquals) ? entry.ErrorEquals : [];
};

const matches = (entry: JsonObject, failure: StateFailure): boolean => {
  const error = failure.error ?? '';
  return names(entry).some((name) => {
    if (name === 'States.ALL' || name === error) return true;
    if (name === 'States.TaskFailed') return !NOT_TASK_FAILED.has(error);
    return failure.alias !== undefined && name === failure.alias;
  });
};

const entries = (value: Json | undefined): JsonObject[] => {
  return Array.isArray(value) ? value.filter(isObject) : [];
};

const number = (value: Json | undefined, fallback: number): number => {
  return typeof value === 'number' ? value : fallback;
};

export interface Retry {
  retrier: number;
  delayMs: number;
}

/**
 * The retrier for a failure, and its delay. The first retrier that names the error decides, even if it is exhausted.
 * @param attempts how often each retrier has been used
 */
export const findRetry = (
  state: JsonObject,
  failure: StateFailure,
  attempts: number[],
  random: { number(): number },
): Retry | undefined => {
  const retriers = entries(state.Retry);
  const index = retriers.findIndex((retrier) => matches(retrier, failure));
  const retrier = retriers[index];
  if (!retrier) return undefined;
  const used = attempts[index] ?? 0;
  if (used >= number(retrier.MaxAttempts, 3)) return undefined;
  const interval = number(retrier.IntervalSeconds, 1) * number(retrier.BackoffRate, 2) ** used;
  const capped = Math.min(interval, number(retrier.MaxDelaySeconds, Number.POSITIVE_INFINITY));
  const seconds = retrier.JitterStrategy === 'FULL' ? capped * random.number() : capped;
  return { retrier: index, delayMs: Math.round(seconds * 1000) };
};

export const findCatcher = (
  state: JsonObject,
  failure: StateFailure,
): { catcher: JsonObject; index: number } | undefined => {
  const catchers = entries(state.Catch);
  const index = catchers.findIndex((catcher) => matches(catcher, failure));
  const catcher = catchers[index];
  return catcher ? { catcher, index } : undefined;
};
