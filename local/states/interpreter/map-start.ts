import { isObject, type Json, type JsonObject } from '../json.ts';
import { PathNotFound } from '../query/json-path.ts';
import { evaluateTemplate, expressionText, isExpression, jsonTypeName } from '../query/jsonata.ts';
import { applyPath, applyTemplate, readPath } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { queryFailure, runtimeFailure, StateFailure } from '../state-failure.ts';
import { numericField } from './field-values.ts';
import type { MapInput } from './model.ts';

export interface MapProcessor {
  field: 'ItemProcessor' | 'Iterator';
  distributed: boolean;
}

export const mapProcessor = (state: JsonObject): MapProcessor => {
  const field = state.ItemProcessor === undefined ? 'Iterator' : 'ItemProcessor';
  const processor = state[field];
  const config = isObject(processor) ? processor.ProcessorConfig : undefined;
  return { field, distributed: isObject(config) && config.Mode === 'DISTRIBUTED' };
};

const jsonPathItems = (state: JsonObject, effective: Json, scope: QueryScope): Json[] => {
  const path = String(state.ItemsPath ?? '$');
  let items: Json;
  try {
    items = readPath(path, effective, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    const step = /([^.[\]']+)'?\]?$/.exec(path)?.[1] ?? path;
    throw new StateFailure(
      'States.ReferencePathConflict',
      `Unable to apply step "${step}" to input ${scope.quote(effective)}`,
      { prefixed: true },
    );
  }
  if (!Array.isArray(items)) throw runtimeFailure(`Reference path "${path}" must point to array.`);
  return items;
};

const jsonataItems = async (state: JsonObject, scope: QueryScope): Promise<Json[]> => {
  if (state.Items === undefined) {
    if (Array.isArray(scope.input)) return scope.input;
    throw queryFailure('Items', `Map state input must be an array but was: ${scope.quote(scope.input)}`);
  }
  const items = await evaluateTemplate(state.Items, 'Items', scope);
  if (Array.isArray(items)) return items;
  const source = isExpression(state.Items) ? expressionText(state.Items) : '';
  throw queryFailure(
    'Items',
    `The JSONata expression '${source}' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was '${jsonTypeName(items)}' for value: ${JSON.stringify(items)}`,
  );
};

/** @throws StateFailure */
export const mapInput = async (state: JsonObject, jsonata: boolean, scope: QueryScope): Promise<MapInput> => {
  if (jsonata) return { items: await jsonataItems(state, scope), effective: scope.input };
  const effective = applyPath(state.InputPath, scope.input, scope);
  return { items: jsonPathItems(state, effective, scope), effective };
};

/** @throws StateFailure */
export const maxConcurrency = async (
  state: JsonObject,
  jsonata: boolean,
  scope: QueryScope,
): Promise<number> => {
  const data = jsonata ? scope.input : applyPath(state.InputPath, scope.input, scope);
  const value = (await numericField(state, 'MaxConcurrency', scope, data)) ?? 0;
  if (value >= 0) return value;
  const cause = `Expected non-negative integer for MaxConcurrency, got '${value}' instead.`;
  throw jsonata ? queryFailure('MaxConcurrency', cause) : runtimeFailure(cause);
};

/** @throws StateFailure */
export const tolerance = async (
  state: JsonObject,
  jsonata: boolean,
  scope: QueryScope,
  data: Json,
): Promise<{ count: number | undefined; percentage: number | undefined }> => {
  const fail = (field: string, cause: string) =>
    jsonata ? queryFailure(field, cause) : runtimeFailure(cause);
  const count = await numericField(state, 'ToleratedFailureCount', scope, data);
  if (count !== undefined && count < 0) {
    throw fail('ToleratedFailureCount', 'ToleratedFailureCount cannot be negative.');
  }
  const percentage = await numericField(state, 'ToleratedFailurePercentage', scope, data, 'float');
  if (percentage !== undefined && (percentage < 0 || percentage > 100)) {
    throw fail('ToleratedFailurePercentage', 'ToleratedFailurePercentage must be between 0 and 100.');
  }
  return { count, percentage };
};

/** The input of one iteration: the item, or the result of ItemSelector (formerly Parameters). */
export const iterationInput = async (
  state: JsonObject,
  jsonata: boolean,
  item: Json,
  effective: Json,
  scope: QueryScope,
): Promise<Json> => {
  const selector = state.ItemSelector ?? state.Parameters;
  if (selector === undefined) return item;
  return jsonata
    ? evaluateTemplate(selector, 'ItemSelector', scope)
    : applyTemplate(selector, effective, scope);
};
