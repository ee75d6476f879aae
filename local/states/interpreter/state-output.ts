import { isObject, type Json, type JsonObject } from '../json.ts';
import { PathNotFound, placeValue } from '../query/json-path.ts';
import { parsePath } from '../query/json-path-parser.ts';
import { evaluateTemplate } from '../query/jsonata.ts';
import { applyPath, applyTemplate } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { StateFailure } from '../state-failure.ts';

export interface Outcome {
  output: Json;
  assigned: JsonObject;
}

/** @throws StateFailure States.ResultPathMatchFailure */
export const applyResultPath = (resultPath: Json | undefined, input: Json, result: Json): Json => {
  if (resultPath === undefined || resultPath === '$') return result;
  if (resultPath === null) return input;
  try {
    return placeValue(parsePath(String(resultPath)), input, result);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw new StateFailure(
      'States.ResultPathMatchFailure',
      `Unable to apply ReferencePath ${resultPath} to input ${JSON.stringify(input)}`,
      { prefixed: true },
    );
  }
};

const asObject = (value: Json): JsonObject => {
  return isObject(value) ? value : {};
};

/**
 * The output and the assignments of a state with a result (Task, Parallel, Map, Pass). All are computed from the variables
 * at the time when the state was entered.
 * @throws StateFailure
 */
export const resultOutcome = async (
  state: JsonObject,
  jsonata: boolean,
  result: Json,
  scope: QueryScope,
): Promise<Outcome> => {
  if (jsonata) return jsonataOutcome(state, '', result, { ...scope, result });
  const selected =
    state.ResultSelector === undefined ? result : applyTemplate(state.ResultSelector, result, scope);
  const assigned = asObject(applyTemplate(state.Assign ?? {}, result, scope));
  const combined = applyResultPath(state.ResultPath, scope.input, selected);
  return { output: applyPath(state.OutputPath, combined, scope), assigned };
};

/** @param prefix location of Output and Assign: `Choices[0]/`, `Catch[1]/`, or empty for the state itself */
export const jsonataOutcome = async (
  holder: JsonObject,
  prefix: string,
  fallback: Json,
  scope: QueryScope,
): Promise<Outcome> => {
  const assigned =
    holder.Assign === undefined
      ? {}
      : asObject(await evaluateTemplate(holder.Assign, `${prefix}Assign`, scope));
  const output =
    holder.Output === undefined ? fallback : await evaluateTemplate(holder.Output, `${prefix}Output`, scope);
  return { output, assigned };
};

/** The output of a state that passes its input on (Wait, Succeed, Choice by default). */
export const passingOutcome = async (
  state: JsonObject,
  jsonata: boolean,
  scope: QueryScope,
): Promise<Outcome> => {
  if (jsonata) return jsonataOutcome(state, '', scope.input, scope);
  const effective = applyPath(state.InputPath, scope.input, scope);
  const assigned = asObject(applyTemplate(state.Assign ?? {}, effective, scope));
  return { output: applyPath(state.OutputPath, effective, scope), assigned };
};

/** The output of a catcher. */
export const caughtOutcome = async (
  catcher: JsonObject,
  index: number,
  jsonata: boolean,
  errorOutput: Json,
  scope: QueryScope,
): Promise<Outcome> => {
  if (jsonata) return jsonataOutcome(catcher, `Catch[${index}]/`, errorOutput, { ...scope, errorOutput });
  return {
    output: applyResultPath(catcher.ResultPath, scope.input, errorOutput),
    assigned: asObject(applyTemplate(catcher.Assign ?? {}, errorOutput, scope)),
  };
};
