import { isObject, type Json, type JsonObject } from '../json.ts';
import { PathNotFound } from '../query/json-path.ts';
import { evaluateExpression, isExpression, requireType } from '../query/jsonata.ts';
import { readPath } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { runtimeFailure } from '../state-failure.ts';
import { parseTimestamp } from './timestamps.ts';

type Ordering = 'Equals' | 'LessThan' | 'GreaterThan' | 'LessThanEquals' | 'GreaterThanEquals';

const readVariable = (path: string, input: Json, scope: QueryScope): Json => {
  try {
    return readPath(path, input, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(
      `Invalid path '${path}': The choice state's condition path references an invalid value.`,
    );
  }
};

const isPresent = (path: string, input: Json, scope: QueryScope): boolean => {
  try {
    const value = readPath(path, input, scope);
    return !(Array.isArray(value) && value.length === 0 && /[*?]|\.\./.test(path));
  } catch (error) {
    if (error instanceof PathNotFound) return false;
    throw error;
  }
};

const order = <T extends number | string>(ordering: Ordering, left: T, right: T): boolean => {
  switch (ordering) {
    case 'Equals':
      return left === right;
    case 'LessThan':
      return left < right;
    case 'GreaterThan':
      return left > right;
    case 'LessThanEquals':
      return left <= right;
    case 'GreaterThanEquals':
      return left >= right;
  }
};

/** `*` is any run of characters; `\*` and `\\` are literal. */
const matchesGlob = (text: string, pattern: string): boolean => {
  const source = pattern.replace(/\\([*\\])|\*|[.+?^${}()|[\]\\]/g, (found, escaped: string | undefined) => {
    if (escaped !== undefined) return `\\${escaped}`;
    return found === '*' ? '.*?' : `\\${found}`;
  });
  return new RegExp(`^${source}$`, 's').test(text);
};

const isType = (operator: string, value: Json): boolean => {
  switch (operator) {
    case 'IsNull':
      return value === null;
    case 'IsNumeric':
      return typeof value === 'number';
    case 'IsString':
      return typeof value === 'string';
    case 'IsBoolean':
      return typeof value === 'boolean';
    default:
      return parseTimestamp(value) !== undefined;
  }
};

/** Values of a type other than the operator's never match. */
const comparison = (operator: string, value: Json, operand: Json): boolean => {
  const [, type, ordering] = /^(String|Numeric|Timestamp)(.+)$/.exec(operator) ?? [];
  if (operator === 'StringMatches') {
    return typeof value === 'string' && typeof operand === 'string' && matchesGlob(value, operand);
  }
  if (operator === 'BooleanEquals') return typeof value === 'boolean' && value === operand;
  if (type === 'Timestamp') {
    const [left, right] = [parseTimestamp(value), parseTimestamp(operand)];
    return left !== undefined && right !== undefined && order(ordering as Ordering, left, right);
  }
  if (type === 'Numeric') {
    return (
      typeof value === 'number' && typeof operand === 'number' && order(ordering as Ordering, value, operand)
    );
  }
  return (
    typeof value === 'string' && typeof operand === 'string' && order(ordering as Ordering, value, operand)
  );
};

const testComparison = (rule: JsonObject, input: Json, scope: QueryScope): boolean => {
  const variable = String(rule.Variable);
  const [operator = '', operand = null] =
    Object.entries(rule).find(([key]) => /^(String|Numeric|Timestamp|Boolean|Is)/.test(key)) ?? [];
  if (operator === 'IsPresent') return isPresent(variable, input, scope) === operand;
  const value = readVariable(variable, input, scope);
  if (operator.startsWith('Is')) return isType(operator, value) === operand;
  if (!operator.endsWith('Path')) return comparison(operator, value, operand);
  return comparison(operator.slice(0, -'Path'.length), value, readVariable(String(operand), input, scope));
};

/** @throws StateFailure States.Runtime if a path has no value */
export const testRule = (rule: Json | undefined, input: Json, scope: QueryScope): boolean => {
  if (!isObject(rule)) return false;
  if (Array.isArray(rule.And)) return rule.And.every((part) => testRule(part, input, scope));
  if (Array.isArray(rule.Or)) return rule.Or.some((part) => testRule(part, input, scope));
  if (rule.Not !== undefined) return !testRule(rule.Not, input, scope);
  return testComparison(rule, input, scope);
};

/** @throws StateFailure States.QueryEvaluationError */
export const testCondition = async (rule: JsonObject, index: number, scope: QueryScope): Promise<boolean> => {
  const { Condition: condition } = rule;
  if (!isExpression(condition)) return condition === true;
  const field = `Choices[${index}]/Condition`;
  const value = await evaluateExpression(condition, field, scope);
  requireType(value, 'boolean', condition, field);
  return value === true;
};
