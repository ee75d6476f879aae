import { isObject, type Json, type JsonObject } from '../json.ts';
import { PathNotFound } from '../query/json-path.ts';
import { evaluateExpression, isExpression, requireType } from '../query/jsonata.ts';
import { readPath } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { queryFailure, runtimeFailure } from '../state-failure.ts';

const MAX_SECONDS = 99_999_999;

/** @throws StateFailure if the path has no value */
export const readFieldPath = (field: string, path: Json | undefined, data: Json, scope: QueryScope): Json => {
  try {
    return readPath(String(path), data, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(
      `The JSONPath '${path}' specified for the field '${field}' could not be found in the input '${scope.quote(data)}'`,
    );
  }
};

const shown = (value: Json): string => {
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** The path of a number; numeric text is accepted. */
const pathNumber = (
  field: string,
  path: Json | undefined,
  data: Json,
  scope: QueryScope,
  kind: string,
): number => {
  const value = readFieldPath(field, path, data, scope);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (
    typeof number !== 'number' ||
    Number.isNaN(number) ||
    (kind === 'integer' && !Number.isInteger(number))
  ) {
    throw runtimeFailure(
      `The ${field} field refers to value "${shown(value)}" which is not a valid ${kind}: ${path}`,
    );
  }
  return number;
};

/**
 * A numeric field in any of its forms: plain, `…Path`, or a JSONata expression.
 * @param kind the type in messages: `integer` or `float`
 * @returns undefined if the state does not have the field
 * @throws StateFailure
 */
export const numericField = async (
  state: JsonObject,
  field: string,
  scope: QueryScope,
  data: Json,
  kind: 'integer' | 'float' = 'integer',
): Promise<number | undefined> => {
  const path = state[`${field}Path`];
  if (path !== undefined) return pathNumber(`${field}Path`, path, data, scope, kind);
  const value = state[field];
  if (!isExpression(value)) return typeof value === 'number' ? value : undefined;
  const result = await evaluateExpression(value, field, scope);
  requireType(result, 'number', value, field);
  if (kind === 'integer' && !Number.isInteger(result)) {
    throw queryFailure(field, `The ${field} field cannot be parsed as an integer: ${result}`);
  }
  return typeof result === 'number' ? result : undefined;
};

/** TimeoutSeconds and HeartbeatSeconds. */
export const secondsField = async (
  state: JsonObject,
  field: string,
  scope: QueryScope,
  data: Json,
): Promise<number | undefined> => {
  const value = await numericField(state, field, scope, data);
  if (value === undefined || (value >= 0 && value <= MAX_SECONDS)) return value;
  const cause = `${field} must be between 0 and ${MAX_SECONDS} but was: ${value}`;
  throw state[`${field}Path`] === undefined ? queryFailure(field, cause) : runtimeFailure(cause);
};

/** A text field: plain, an expression, or (`…Path`) a path or intrinsic function. */
export const jsonataText = async (
  state: JsonObject,
  field: string,
  scope: QueryScope,
): Promise<string | undefined> => {
  const value = state[field];
  if (!isExpression(value)) return typeof value === 'string' ? value : undefined;
  const result = await evaluateExpression(value, field, scope);
  requireType(result, 'string', value, field);
  return String(result);
};

export const objectOrEmpty = (value: Json): JsonObject => {
  return isObject(value) ? value : {};
};
