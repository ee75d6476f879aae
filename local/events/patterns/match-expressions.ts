import { InvalidPatternError } from './invalid-pattern-error.ts';
import { cidrMatcher } from './ip-range.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { numericMatcher } from './numeric-range.ts';
import { parseWildcard, wildcardMatches } from './wildcard.ts';

/** A leaf of an event: its values are never objects or arrays. */
export type Leaf = null | boolean | number | string;

/** One alternative of a pattern's array. `absent` matches when the event has no such leaf. */
export interface ValueMatcher {
  absent: boolean;
  matches(leaf: Leaf): boolean;
  /** Parsed wildcards, for the complexity check of the whole field. */
  wildcards: ReturnType<typeof parseWildcard>[];
}

type TextTest = (text: string) => boolean;

export const MATCH_TYPES = [
  'exactly',
  'prefix',
  'suffix',
  'equals-ignore-case',
  'wildcard',
  'cidr',
  'numeric',
  'exists',
  'anything-but',
] as const;

const matcher = (matches: (leaf: Leaf) => boolean, extra: Partial<ValueMatcher> = {}): ValueMatcher => {
  return { absent: false, wildcards: [], ...extra, matches };
};

const onText = (test: TextTest): ValueMatcher => {
  return matcher((leaf) => typeof leaf === 'string' && test(leaf));
};

const text = (value: Json, message: string): string => {
  if (typeof value !== 'string') throw new InvalidPatternError(message);
  return value;
};

const fold = (value: string): string => {
  return value.toLowerCase();
};

const onlyEntry = (expression: JsonObject, missing: string): [string, Json] => {
  const entries = Object.entries(expression);
  const entry = entries[0];
  if (!entry) throw new InvalidPatternError(missing);
  if (entries.length > 1) throw new InvalidPatternError('Only one key allowed in match expression');
  return entry;
};

/** `prefix` and `suffix` take a string, or `{"equals-ignore-case": string}`. */
const affixTest = (type: 'prefix' | 'suffix', operand: Json): TextTest => {
  const test = (value: string, part: string) =>
    type === 'prefix' ? value.startsWith(part) : value.endsWith(part);
  if (isObject(operand)) {
    const title = type === 'prefix' ? 'Prefix' : 'Suffix';
    const [op, value] = onlyEntry(operand, `${title} expression name not found`);
    if (op !== 'equals-ignore-case') throw new InvalidPatternError(`Unsupported ${type} pattern: ${op}`);
    const part = fold(text(value, 'equals-ignore-case match pattern must be a string'));
    return (value) => test(fold(value), part);
  }
  const part = text(operand, `${type} match pattern must be a string`);
  return (value) => test(value, part);
};

const wildcardMatcher = (operand: Json): ValueMatcher => {
  const tokens = parseWildcard(text(operand, 'wildcard match pattern must be a string'));
  return { ...onText((value) => wildcardMatches(tokens, value)), wildcards: [tokens] };
};

const existsMatcher = (operand: Json): ValueMatcher => {
  if (typeof operand !== 'boolean') {
    throw new InvalidPatternError('exists match pattern must be either true or false.');
  }
  return operand ? matcher(() => true) : matcher(() => false, { absent: true });
};

const ANYTHING_BUT_OPERAND = 'Value of anything-but must be an array or single string/number value.';

/** The list form of a nested anything-but; a single value becomes a list of one. */
const nestedOperands = (op: string, operand: Json): string[] => {
  const values = Array.isArray(operand) ? operand : [operand];
  if (values.length === 0) throw new InvalidPatternError('Empty arrays are not allowed');
  if (!Array.isArray(operand) && typeof operand !== 'string' && typeof operand !== 'number') {
    throw new InvalidPatternError(ANYTHING_BUT_OPERAND);
  }
  const message =
    op === 'equals-ignore-case'
      ? 'Inside anything-but/ignore-case list, number|start|null|boolean is not supported.'
      : op === 'wildcard'
        ? 'wildcard match pattern must be a string'
        : 'prefix/suffix match pattern must be a string';
  const texts = values.map((value) => text(value, message));
  if ((op === 'prefix' || op === 'suffix') && texts.includes('')) {
    throw new InvalidPatternError('Null prefix/suffix not allowed');
  }
  return texts;
};

/** The negation of a text test: a leaf that is not a string matches. */
const anythingButText = (operand: JsonObject): ValueMatcher => {
  const [op, value] = onlyEntry(operand, 'Anything-But expression name not found');
  const none = (test: (leaf: string, part: string) => boolean, parts: string[]) =>
    matcher((leaf) => typeof leaf !== 'string' || !parts.some((part) => test(leaf, part)));
  switch (op) {
    case 'prefix':
      return none((leaf, part) => leaf.startsWith(part), nestedOperands(op, value));
    case 'suffix':
      return none((leaf, part) => leaf.endsWith(part), nestedOperands(op, value));
    case 'equals-ignore-case':
      return none((leaf, part) => fold(leaf) === part, nestedOperands(op, value).map(fold));
    case 'wildcard': {
      const wildcards = nestedOperands(op, value).map(parseWildcard);
      return matcher(
        (leaf) => typeof leaf !== 'string' || !wildcards.some((tokens) => wildcardMatches(tokens, leaf)),
        { wildcards },
      );
    }
    default:
      throw new InvalidPatternError(`Unsupported anything-but pattern: ${op}`);
  }
};

const anythingButMatcher = (operand: Json): ValueMatcher => {
  if (isObject(operand)) return anythingButText(operand);
  if (!Array.isArray(operand)) {
    if (typeof operand !== 'string' && typeof operand !== 'number') {
      throw new InvalidPatternError(ANYTHING_BUT_OPERAND);
    }
    return matcher((leaf) => leaf !== operand);
  }
  if (operand.some((value) => typeof value !== 'string' && typeof value !== 'number')) {
    throw new InvalidPatternError('Inside anything but list, start|null|boolean is not supported.');
  }
  if (new Set(operand.map((value) => typeof value)).size !== 1) {
    throw new InvalidPatternError(
      'Inside anything but list, either all values are number or string, mixed type is not supported',
    );
  }
  const values = new Set<Json>(operand);
  return matcher((leaf) => !values.has(leaf));
};

const matchExpression = (expression: JsonObject): ValueMatcher => {
  const [type, operand] = onlyEntry(expression, 'Match expression name not found');
  switch (type) {
    case 'exactly': {
      const exact = text(operand, 'exact match pattern must be a string');
      return onText((value) => value === exact);
    }
    case 'prefix':
    case 'suffix':
      return onText(affixTest(type, operand));
    case 'equals-ignore-case': {
      const folded = fold(text(operand, 'equals-ignore-case match pattern must be a string'));
      return onText((value) => fold(value) === folded);
    }
    case 'wildcard':
      return wildcardMatcher(operand);
    case 'cidr':
      return onText(cidrMatcher(text(operand, 'prefix match pattern must be a string')));
    case 'numeric': {
      const test = numericMatcher(operand);
      return matcher((leaf) => typeof leaf === 'number' && test(leaf));
    }
    case 'exists':
      return existsMatcher(operand);
    case 'anything-but':
      return anythingButMatcher(operand);
    default:
      throw new InvalidPatternError(`Unrecognized match type ${type}`);
  }
};

/**
 * One member of a pattern's array: a literal, or a match expression.
 * @throws InvalidPatternError
 */
export const compileValue = (value: Json): ValueMatcher => {
  if (Array.isArray(value)) {
    throw new InvalidPatternError('Match value must be String, number, true, false, or null');
  }
  return isObject(value) ? matchExpression(value) : matcher((leaf) => leaf === value);
};
