import { isObject, type Json, type JsonObject } from '../json.ts';
import { runtimeFailure } from '../state-failure.ts';
import { format, INTRINSICS, type IntrinsicArgument, IntrinsicError } from './intrinsic-functions.ts';
import { type Argument, type IntrinsicCall, isIntrinsic, parseIntrinsic } from './intrinsic-parser.ts';
import { evaluatePath, PathNotFound } from './json-path.ts';
import { parsePath } from './json-path-parser.ts';
import type { JsonPath } from './json-path-syntax.ts';
import type { QueryScope } from './scope.ts';

/** The value that a path starts from: the data, the context object, or a variable. */
const rootOf = (path: JsonPath, data: Json, scope: QueryScope): Json => {
  if (path.root.kind === 'data') return data;
  if (path.root.kind === 'context') return scope.context;
  const value = scope.variable(path.root.name);
  if (value === undefined) throw new PathNotFound(path.text, true, false);
  return value;
};

/** @throws PathNotFound */
export const readPath = (text: string, data: Json, scope: QueryScope): Json => {
  const path = parsePath(text);
  return evaluatePath(path, rootOf(path, data, scope));
};

const evaluateArgument = (argument: Argument, data: Json, scope: QueryScope): IntrinsicArgument => {
  if (argument.kind === 'literal') {
    return { value: argument.value, raw: typeof argument.value === 'string' ? argument.raw : undefined };
  }
  if (argument.kind === 'call') return { value: callIntrinsic(argument.call, data, scope), raw: undefined };
  try {
    return { value: evaluatePath(argument.path, rootOf(argument.path, data, scope)), raw: undefined };
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw new IntrinsicError(
      `The JsonPath argument for the field '${argument.path.text}' could not be found in the input '${scope.quote(data)}'`,
    );
  }
};

const callIntrinsic = (call: IntrinsicCall, data: Json, scope: QueryScope): Json => {
  const args = call.args.map((argument) => evaluateArgument(argument, data, scope));
  if (call.name === 'States.Format') return format(args);
  const implementation = INTRINSICS[call.name];
  if (!implementation) throw new IntrinsicError(`${call.name} is not an intrinsic function`);
  return implementation(
    args.map((argument) => argument.value),
    scope.random,
  );
};

/**
 * The value of a `name.$` field: a path or an intrinsic function.
 * @throws StateFailure States.Runtime
 */
export const evaluateField = (field: string, text: string, data: Json, scope: QueryScope): Json => {
  try {
    return isIntrinsic(text) ? callIntrinsic(parseIntrinsic(text), data, scope) : readPath(text, data, scope);
  } catch (error) {
    if (error instanceof IntrinsicError) {
      throw runtimeFailure(`The function '${text}' had the following error: ${error.message}`);
    }
    if (!(error instanceof PathNotFound)) throw error;
    // An index past the end of an existing array gives null, only here.
    if (error.pastEnd && error.leaf) return null;
    throw runtimeFailure(
      `The JSONPath '${text}' specified for the field '${field}' could not be found in the input '${scope.quote(data)}'`,
    );
  }
};

/**
 * A payload template (Parameters, ResultSelector, ItemSelector, Assign) applied to data.
 * @throws StateFailure States.Runtime
 */
export const applyTemplate = (template: Json, data: Json, scope: QueryScope): Json => {
  if (Array.isArray(template)) return template.map((item) => applyTemplate(item, data, scope));
  if (!isObject(template)) return template;
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(template)) {
    if (key.endsWith('.$') && typeof value === 'string') {
      result[key.slice(0, -2)] = evaluateField(key, value, data, scope);
    } else {
      result[key] = applyTemplate(value, data, scope);
    }
  }
  return result;
};

/**
 * InputPath, OutputPath and similar fields; null means an empty object.
 * @throws StateFailure States.Runtime
 */
export const applyPath = (text: Json | undefined, data: Json, scope: QueryScope): Json => {
  if (text === undefined) return data;
  if (text === null) return {};
  try {
    return readPath(String(text), data, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(`Invalid path '${text}' : ${error.message}`);
  }
};
