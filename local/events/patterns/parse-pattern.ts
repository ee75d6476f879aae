import { InvalidPatternError } from './invalid-pattern-error.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { compileValue, MATCH_TYPES, type ValueMatcher } from './match-expressions.ts';
import { checkWildcardComplexity } from './wildcard.ts';

/** A pattern without `$or`: every path must match. Paths are key names joined by dots. */
export type Conjunction = Map<string, ValueMatcher[]>;

/** EventBridge's quota on the combinations of all `$or`s in a pattern. */
const MAX_COMBINATIONS = 1000;

const isOr = (value: Json): value is JsonObject[] => {
  return (
    Array.isArray(value) &&
    value.length >= 2 &&
    value.every(
      (member) =>
        isObject(member) &&
        Object.keys(member).length > 0 &&
        !Object.keys(member).some((key) => MATCH_TYPES.some((type) => type === key)),
    )
  );
};

const field = (path: string, value: Json[]): ValueMatcher[] => {
  if (value.length === 0) throw new InvalidPatternError('Empty arrays are not allowed');
  const matchers = value.map(compileValue);
  const wildcards = matchers.flatMap((matcher) => matcher.wildcards);
  if (wildcards.length > 0) checkWildcardComplexity(wildcards);
  if (path === '') throw new InvalidPatternError('Filter is not an object');
  return matchers;
};

const combine = (left: Conjunction[], right: Conjunction[]): Conjunction[] => {
  if (left.length * right.length > MAX_COMBINATIONS) {
    throw new InvalidPatternError(`The rule has more than ${MAX_COMBINATIONS} combinations`);
  }
  return left.flatMap((a) =>
    right.map((b) => {
      for (const path of b.keys()) {
        if (a.has(path)) throw new InvalidPatternError(`Path \`${path}\` cannot be allowed multiple times`);
      }
      return new Map([...a, ...b]);
    }),
  );
};

const parseObject = (pattern: JsonObject, prefix: string): Conjunction[] => {
  const entries = Object.entries(pattern);
  if (entries.length === 0) throw new InvalidPatternError('Empty objects are not allowed');
  return entries.reduce<Conjunction[]>(
    (all, [key, value]) => combine(all, parseField(key, value, prefix)),
    [new Map()],
  );
};

const parseField = (key: string, value: Json, prefix: string): Conjunction[] => {
  if (key === '$or' && isOr(value)) return value.flatMap((member) => parseObject(member, prefix));
  const path = prefix === '' ? key : `${prefix}.${key}`;
  if (Array.isArray(value)) return [new Map([[path, field(path, value)]])];
  if (isObject(value)) return parseObject(value, path);
  throw new InvalidPatternError(`"${key}" must be an object or an array`);
};

/**
 * @param pattern the pattern's JSON, parsed
 * @returns its alternatives, `$or` multiplied out
 * @throws InvalidPatternError
 */
export const parsePattern = (pattern: unknown): Conjunction[] => {
  if (!isObject(pattern)) throw new InvalidPatternError('Filter is not an object');
  return parseObject(pattern, '');
};
