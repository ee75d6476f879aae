import { type ArrayMembership, type FlatEvent, flattenEvent, withAncestors } from './flatten-event.ts';
import type { Json } from './json.ts';
import type { ValueMatcher } from './match-expressions.ts';
import { type Conjunction, parsePattern } from './parse-pattern.ts';

export { InvalidPatternError } from './invalid-pattern-error.ts';

export type EventMatcher = (event: unknown) => boolean;

/** Leaves can match together only if they are in the same element of every array that they share. */
const join = (a: ArrayMembership, b: ArrayMembership): ArrayMembership | undefined => {
  if (b.size === 0) return a;
  for (const [array, index] of b) {
    const other = a.get(array);
    if (other !== undefined && other !== index) return undefined;
  }
  return new Map([...a, ...b]);
};

const meets = (
  fields: [string, ValueMatcher[]][],
  at: number,
  event: FlatEvent,
  membership: ArrayMembership,
): boolean => {
  const field = fields[at];
  if (!field) return true;
  const [path, matchers] = field;
  const leaves = event.get(path) ?? [];
  if (leaves.length === 0) {
    return matchers.some((matcher) => matcher.absent) && meets(fields, at + 1, event, membership);
  }
  return leaves.some((leaf) => {
    if (!matchers.some((matcher) => matcher.matches(leaf.value))) return false;
    const joined = join(membership, leaf.membership);
    return joined !== undefined && meets(fields, at + 1, event, joined);
  });
};

/**
 * Compiles an EventBridge event pattern: exact values, prefix, suffix, equals-ignore-case, anything-but,
 * numeric, exists, cidr, wildcard, `$or`, nested objects, and arrays by the array-consistency rule of AWS's
 * Event Ruler.
 *
 * @param pattern the pattern, as JSON text or parsed
 * @returns whether an event (parsed JSON) matches
 * @throws InvalidPatternError with EventBridge's reason
 */
export const compilePattern = (pattern: unknown): EventMatcher => {
  const alternatives = parsePattern(typeof pattern === 'string' ? parseText(pattern) : pattern).map(
    (conjunction: Conjunction) => [...conjunction],
  );
  const wanted = withAncestors(alternatives.flatMap((fields) => fields.map(([path]) => path)));
  return (event) => {
    const flat = flattenEvent(event as Json, wanted);
    return alternatives.some((fields) => meets(fields, 0, flat, new Map()));
  };
};

const parseText = (pattern: string): unknown => {
  try {
    return JSON.parse(pattern);
  } catch {
    return undefined;
  }
};
