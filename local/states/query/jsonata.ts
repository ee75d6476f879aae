import { isObject, type Json, type JsonObject } from '../json.ts';
import { queryFailure } from '../state-failure.ts';
import { evaluateText } from './compiled-expressions.ts';
import type { QueryScope } from './scope.ts';

export const isExpression = (value: Json | undefined): value is string => {
  return typeof value === 'string' && value.startsWith('{%') && value.endsWith('%}') && value.length >= 4;
};

/** The JSONata text between `{%` and `%}`. */
export const expressionText = (value: string): string => {
  return value.slice(2, -2).trim();
};

const statesVariable = (scope: QueryScope): JsonObject => {
  const states: JsonObject = { input: scope.input, context: scope.context };
  if (scope.result !== undefined) states.result = scope.result;
  if (scope.errorOutput !== undefined) states.errorOutput = scope.errorOutput;
  return states;
};

/** Plain JSON of a result: JSONata's own arrays carry extra properties; infinite numbers become strings. */
const toJson = (value: unknown): Json | undefined => {
  if (Array.isArray(value)) return value.map((item) => toJson(item) ?? null);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'function') return undefined;
  if (!isObject(value)) return value as Json | undefined;
  if ('_jsonata_lambda' in value || '_jsonata_function' in value) return undefined;
  const object: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const json = toJson(item);
    if (json !== undefined) object[key] = json;
  }
  return object;
};

/**
 * @param field location of the expression, relative to its state: `Output/a[0]`
 * @throws StateFailure States.QueryEvaluationError
 */
export const evaluateExpression = async (source: string, field: string, scope: QueryScope): Promise<Json> => {
  const text = expressionText(source);
  const where = `The JSONata expression '${text}' specified for the field '${field}'`;
  let result: unknown;
  try {
    result = await evaluateText(text, { ...scope.variables(), states: statesVariable(scope) }, scope);
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    throw queryFailure(
      field,
      `${where} threw an error during evaluation${code === undefined ? '' : `. ${code}`}: ${message}`,
    );
  }
  if (result === undefined) throw queryFailure(field, `${where} returned nothing (undefined).`);
  const json = toJson(result);
  if (json === undefined) {
    const cause = `The JSONata expression '${text}' for the field '${field}' returned an unsupported result type.`;
    throw queryFailure(field, cause);
  }
  return json;
};

/**
 * A JSONata template (Output, Arguments, Assign, …): every `{% … %}` string in it is evaluated.
 * @throws StateFailure States.QueryEvaluationError
 */
export const evaluateTemplate = async (template: Json, field: string, scope: QueryScope): Promise<Json> => {
  if (isExpression(template)) return evaluateExpression(template, field, scope);
  if (Array.isArray(template)) {
    const items: Json[] = [];
    for (const [i, item] of template.entries()) {
      items.push(await evaluateTemplate(item, `${field}[${i}]`, scope));
    }
    return items;
  }
  if (!isObject(template)) return template;
  const object: JsonObject = {};
  for (const [key, value] of Object.entries(template)) {
    object[key] = await evaluateTemplate(value, `${field}/${key}`, scope);
  }
  return object;
};

export const jsonTypeName = (value: Json): string => {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
};

/** @throws StateFailure if the value does not have the type of its field */
export const requireType = (
  value: Json,
  type: 'number' | 'string' | 'boolean' | 'array',
  source: string,
  field: string,
): void => {
  if (jsonTypeName(value) === type) return;
  throw queryFailure(
    field,
    `The JSONata expression '${expressionText(source)}' specified for the field '${field}' returned an unexpected result type. Expected '${type}', but was '${jsonTypeName(value)}' for value: ${JSON.stringify(value)}`,
  );
};
