import type { Json, JsonObject } from '../json.ts';
import { PathNotFound } from '../query/json-path.ts';
import { isExpression } from '../query/jsonata.ts';
import { applyPath, readPath } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { queryFailure, runtimeFailure } from '../state-failure.ts';
import { jsonataText, secondsField } from './field-values.ts';
import { parseTimestamp } from './timestamps.ts';

const read = (field: string, path: string, data: Json, scope: QueryScope): Json => {
  try {
    return readPath(path, data, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(`The ${field} parameter does not reference an input value: ${path}`);
  }
};

const secondsPath = (path: string, data: Json, scope: QueryScope): number => {
  const value = read('SecondsPath', path, data, scope);
  const shown = `${path} == ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw runtimeFailure(`The SecondsPath parameter cannot be parsed as a long value: ${shown}`);
  }
  if (value < 0) throw runtimeFailure(`The SecondsPath parameter references a negative value: ${shown}`);
  return value;
};

const timestampPath = (path: string, data: Json, scope: QueryScope): number => {
  const value = read('TimestampPath', path, data, scope);
  const moment = parseTimestamp(value);
  if (moment !== undefined) return moment;
  throw runtimeFailure(
    `The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: ${path} == ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
};

/**
 * When a Wait state ends.
 * @returns epoch milliseconds
 * @throws StateFailure
 */
export const waitUntil = async (
  state: JsonObject,
  jsonata: boolean,
  scope: QueryScope,
  now: number,
): Promise<number> => {
  const data = jsonata ? scope.input : applyPath(state.InputPath, scope.input, scope);
  if (typeof state.SecondsPath === 'string') return now + secondsPath(state.SecondsPath, data, scope) * 1000;
  if (typeof state.TimestampPath === 'string') return timestampPath(state.TimestampPath, data, scope);
  if (state.Seconds !== undefined) {
    return now + ((await secondsField(state, 'Seconds', scope, data)) ?? 0) * 1000;
  }
  const text = await jsonataText(state, 'Timestamp', scope);
  const moment = parseTimestamp(text);
  if (moment !== undefined) return moment;
  const cause = `The Timestamp parameter does not reference a valid ISO-8601 extended offset date-time format string: ${state.Timestamp} == ${text}`;
  throw isExpression(state.Timestamp) ? queryFailure('Timestamp', cause) : runtimeFailure(cause);
};
