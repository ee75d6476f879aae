/**
 * Intrinsic functions of CloudFormation templates: detection (for dependencies and refusals) and resolution.
 * Source: AWS CloudFormation User Guide, "Intrinsic function reference".
 */
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** The values that a template can refer to. Each throws IntrinsicError if there is no value. */
export interface Scope {
  /** `Ref` of a resource, a parameter or a pseudo-parameter. */
  ref(name: string): Json;
  getAtt(logicalId: string, attribute: string): Json;
  condition(name: string): boolean;
  map(name: string, first: string, second: string): Json;
}

/** An intrinsic cannot be resolved. The loader turns this into a problem of the resource. */
export class IntrinsicError extends Error {}

/** `Ref: AWS::NoValue`: the property is omitted. */
export const noValue: unique symbol = Symbol('AWS::NoValue');
type Resolved = Json | typeof noValue;

/** The single key of an intrinsic such as `{"Fn::Join": …}`, or undefined for an ordinary value. */
export const intrinsicName = (value: Json | undefined): string | undefined => {
  if (!isJsonObject(value)) return undefined;
  const keys = Object.keys(value);
  const [key] = keys;
  return keys.length === 1 && key !== undefined && (key === 'Ref' || key.startsWith('Fn::'))
    ? key
    : undefined;
};

const text = (value: Resolved, where: string): string => {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new IntrinsicError(`${where} needs a string, not ${JSON.stringify(value)}`);
};

const items = (value: Resolved, where: string): Json[] => {
  if (Array.isArray(value)) return value;
  throw new IntrinsicError(`${where} needs a list`);
};

/** `[logicalId, attribute]` of `Fn::GetAtt`, which can also be `"logicalId.attribute"`. */
export const getAttOperands = (argument: Json | undefined): [string, string] => {
  const [logicalId, ...rest] =
    typeof argument === 'string' ? argument.split('.') : Array.isArray(argument) ? argument.map(String) : [];
  if (logicalId === undefined || rest.length === 0) throw new IntrinsicError('Fn::GetAtt needs two operands');
  return [logicalId, rest.join('.')];
};

const placeholder = /\$\{(!?)([^}]*)\}/g;

/** Names in `${…}` of `Fn::Sub`, without the variables that it defines itself. */
export const subReferences = (argument: Json | undefined): string[] => {
  const [format, own] = Array.isArray(argument) ? argument : [argument, {}];
  const known = Object.keys(isJsonObject(own) ? own : {});
  return [...String(format).matchAll(placeholder)]
    .filter(([, literal]) => literal === '')
    .map(([, , name]) => String(name).trim())
    .filter((name) => !known.includes(name));
};

type Implementation = (argument: Json, scope: Scope) => Resolved;

const joined: Implementation = (argument, scope) => {
  const [delimiter, values] = items(argument, 'Fn::Join');
  const list = items(resolve(values ?? null, scope), 'Fn::Join');
  return list.map((value) => text(value, 'Fn::Join')).join(String(delimiter));
};

const substituted: Implementation = (argument, scope) => {
  const [format, own] = Array.isArray(argument) ? argument : [argument, {}];
  const variables = isJsonObject(own) ? own : {};
  return String(format).replace(placeholder, (_all, literal: string, given: string) => {
    if (literal === '!') return `\${${given}}`;
    const name = given.trim();
    const variable = variables[name];
    if (variable !== undefined) return text(resolve(variable, scope), 'Fn::Sub');
    return text(name.includes('.') ? scope.getAtt(...getAttOperands(name)) : scope.ref(name), 'Fn::Sub');
  });
};

const selected: Implementation = (argument, scope) => {
  const [index, values] = items(argument, 'Fn::Select');
  const list = items(resolve(values ?? null, scope), 'Fn::Select');
  const value = list[Number(resolve(index ?? null, scope))];
  if (value === undefined) throw new IntrinsicError(`Fn::Select: no item ${JSON.stringify(index)}`);
  return value;
};

const split: Implementation = (argument, scope) => {
  const [delimiter, value] = items(argument, 'Fn::Split');
  return text(resolve(value ?? null, scope), 'Fn::Split').split(String(delimiter));
};

const chosen: Implementation = (argument, scope) => {
  const [name, whenTrue, whenFalse] = items(argument, 'Fn::If');
  return resolve((scope.condition(String(name)) ? whenTrue : whenFalse) ?? null, scope);
};

const mapped: Implementation = (argument, scope) => {
  const [name, first, second] = items(argument, 'Fn::FindInMap').map((key) =>
    text(resolve(key, scope), 'Fn::FindInMap'),
  );
  return scope.map(String(name), String(first), String(second));
};

const implementations: Readonly<Record<string, Implementation>> = {
  Ref: (argument, scope) => (argument === 'AWS::NoValue' ? noValue : scope.ref(String(argument))),
  'Fn::GetAtt': (argument, scope) => scope.getAtt(...getAttOperands(argument)),
  'Fn::Join': joined,
  'Fn::Sub': substituted,
  'Fn::Select': selected,
  'Fn::Split': split,
  'Fn::If': chosen,
  'Fn::FindInMap': mapped,
  'Fn::Base64': (argument, scope) =>
    Buffer.from(text(resolve(argument, scope), 'Fn::Base64')).toString('base64'),
};

export const implementedIntrinsics: readonly string[] = Object.keys(implementations);

/** Replaces every intrinsic function by its value. @throws IntrinsicError */
export const resolve = (value: Json, scope: Scope): Resolved => {
  if (Array.isArray(value)) {
    return value.map((item) => resolve(item, scope)).filter((item) => item !== noValue);
  }
  if (!isJsonObject(value)) return value;
  const name = intrinsicName(value);
  if (name !== undefined) {
    const implementation = implementations[name];
    if (implementation === undefined) throw new IntrinsicError(`${name} is not implemented`);
    return implementation(value[name] ?? null, scope);
  }
  const result: JsonObject = {};
  for (const [key, child] of Object.entries(value)) {
    const resolved = resolve(child, scope);
    if (resolved !== noValue) result[key] = resolved;
  }
  return result;
};

const conditionOperators: Readonly<Record<string, (operands: Json[], scope: Scope) => boolean>> = {
  'Fn::Equals': ([left, right], scope) =>
    JSON.stringify(resolve(left ?? null, scope)) === JSON.stringify(resolve(right ?? null, scope)),
  'Fn::And': (operands, scope) => operands.every((operand) => evaluateCondition(operand, scope)),
  'Fn::Or': (operands, scope) => operands.some((operand) => evaluateCondition(operand, scope)),
  'Fn::Not': ([operand], scope) => !evaluateCondition(operand ?? null, scope),
};

/** Evaluates one entry of the template's `Conditions`. @throws IntrinsicError */
export const evaluateCondition = (condition: Json, scope: Scope): boolean => {
  if (!isJsonObject(condition)) throw new IntrinsicError('a condition must be an object');
  const [entry] = Object.entries(condition);
  const [name, operands] = entry ?? ['', null];
  if (name === 'Condition') return scope.condition(String(operands));
  const operator = conditionOperators[name];
  if (operator === undefined) throw new IntrinsicError(`${name} is not implemented in Conditions`);
  return operator(Array.isArray(operands) ? operands : [], scope);
};
