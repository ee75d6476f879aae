import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Checker } from './checker.ts';
import type { QueryLanguage } from './state-fields.ts';

const RETRIER = new Set([
  'ErrorEquals',
  'IntervalSeconds',
  'MaxAttempts',
  'BackoffRate',
  'MaxDelaySeconds',
  'JitterStrategy',
  'Comment',
]);
const CATCHER = ['ErrorEquals', 'Next', 'Assign', 'Comment'];

const checkErrorEquals = (checker: Checker, entry: JsonObject, path: string, last: boolean): void => {
  const { ErrorEquals: names } = entry;
  if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== 'string')) {
    checker.refuse(`${path}/ErrorEquals`, 'ErrorEquals', 'Expected a non-empty array of strings');
  } else if (names.includes('States.ALL') && (names.length > 1 || !last)) {
    checker.refuse(
      `${path}/ErrorEquals`,
      'ErrorEquals',
      'States.ALL must appear alone and in the last entry',
    );
  }
};

const entries = (checker: Checker, value: Json | undefined, field: string, path: string): JsonObject[] => {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(isObject)) {
    checker.refuse(`${path}/${field}`, field, 'Expected an array of objects');
    return [];
  }
  return value.filter(isObject);
};

const checkRetrier = (checker: Checker, retrier: JsonObject, at: string): void => {
  checker.onlyFields(retrier, RETRIER, at, (field) => `Field '${field}' is not supported in a Retry entry`);
  checker.integer(retrier.IntervalSeconds, `${at}/IntervalSeconds`, 1);
  checker.integer(retrier.MaxAttempts, `${at}/MaxAttempts`, 0);
  checker.integer(retrier.MaxDelaySeconds, `${at}/MaxDelaySeconds`, 1);
  checker.number(retrier.BackoffRate, `${at}/BackoffRate`, 1, Number.MAX_VALUE);
  const jitter = retrier.JitterStrategy;
  if (jitter !== undefined && jitter !== 'FULL' && jitter !== 'NONE') {
    checker.refuse(`${at}/JitterStrategy`, 'JitterStrategy', 'Value should be one of [FULL, NONE]');
  }
};

/** Retry and Catch of a Task, Parallel or Map state. */
export const checkRecovery = (
  checker: Checker,
  state: JsonObject,
  language: QueryLanguage,
  path: string,
  checkTarget: (value: Json | undefined, path: string) => void,
): void => {
  const retriers = entries(checker, state.Retry, 'Retry', path);
  for (const [i, retrier] of retriers.entries()) {
    const at = `${path}/Retry[${i}]`;
    checkErrorEquals(checker, retrier, at, i === retriers.length - 1);
    checkRetrier(checker, retrier, at);
  }
  const catchers = entries(checker, state.Catch, 'Catch', path);
  const known = new Set([...CATCHER, language === 'JSONPath' ? 'ResultPath' : 'Output']);
  for (const [i, catcher] of catchers.entries()) {
    const at = `${path}/Catch[${i}]`;
    checkErrorEquals(checker, catcher, at, i === catchers.length - 1);
    checker.onlyFields(catcher, known, at, (field) => `Field '${field}' is not supported in a Catch entry`);
    checkTarget(catcher.Next, `${at}/Next`);
    if (language === 'JSONPath') {
      checker.path(catcher.ResultPath, `${at}/ResultPath`, { nullable: true, reference: true });
      checker.template(catcher.Assign, `${at}/Assign`);
    } else {
      checker.jsonata(catcher, at);
    }
  }
};
