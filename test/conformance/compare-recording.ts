/**
 * The recorder replaced values that AWS generates at run time by `<placeholders>` and by these names. They are compared
 * by their form only.
 */
const SHAPES: Record<string, (value: unknown) => boolean> = {
  'generated-uuid': (value) =>
    typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
  RandomNumberGenerated: (value) => typeof value === 'number',
  'start-time': isTimestamp,
  'entered-time': isTimestamp,
  snf_role_arn: (value) => typeof value === 'string' && value.startsWith('arn:'),
};

function isTimestamp(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(value);
}

function matchesText(expected: string, actual: unknown): boolean {
  const shape = SHAPES[expected];
  if (shape) return shape(actual);
  if (typeof actual !== 'string') return false;
  if (!/<[A-Za-z_][\w-]*>/.test(expected)) return expected === actual;
  const source = expected
    .split(/<[A-Za-z_][\w-]*>/)
    .map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^]+?');
  return new RegExp(`^${source}$`).test(actual);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sameValue(expected: unknown, actual: unknown): boolean {
  if (typeof expected === 'string') return matchesText(expected, actual);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      actual.length === expected.length &&
      expected.every((item, i) => sameValue(item, actual[i]))
    );
  }
  if (!isRecord(expected)) return expected === actual;
  if (!isRecord(actual)) return false;
  const keys = Object.keys(expected);
  return (
    keys.length === Object.keys(actual).length &&
    keys.every((key) => key in actual && sameValue(expected[key], actual[key]))
  );
}

function parsed(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/**
 * Causes quote the text of the input. The recordings have only the parsed input, so whitespace is unknown and ignored.
 */
export function sameCause(expected: unknown, actual: unknown): boolean {
  const unspaced = (text: unknown) => (typeof text === 'string' ? text.replace(/([,:])\s+/g, '$1') : text);
  return sameShape(expected, actual, false) || sameShape(unspaced(expected), unspaced(actual), false);
}

/** @param json both values are JSON; the recorder parsed it in some cases and kept the text in others */
export function sameShape(expected: unknown, actual: unknown, json: boolean): boolean {
  if (expected === undefined || actual === undefined) return expected === actual;
  if (!json) return sameValue(expected, actual);
  return sameValue(parsed(expected), parsed(actual));
}

/**
 * The recorder did not keep the order of events in a Parallel state: it sorted the events between ParallelStateStarted
 * and ParallelStateExited, and dropped ParallelStateSucceeded. Such a part of a recording is compared as a multiset.
 */
function normalise(types: string[]): string[] {
  const normal: string[] = [];
  for (let i = 0; i < types.length; i++) {
    const type = types[i] ?? '';
    normal.push(type);
    if (type !== 'ParallelStateStarted') continue;
    const end = types.indexOf('ParallelStateExited', i);
    if (end < 0) continue;
    const inside = types.slice(i + 1, end).filter((other) => other !== 'ParallelStateSucceeded');
    normal.push(...inside.sort());
    i = end - 1;
  }
  return normal;
}

export function sameEventTypes(expected: string[], actual: string[]): boolean {
  const same = (a: string[], b: string[]) => a.length === b.length && a.every((type, i) => type === b[i]);
  if (same(expected, actual)) return true;
  const sorted = expected.includes('ParallelStateExited') && !expected.includes('ParallelStateSucceeded');
  return sorted && same(normalise(expected), normalise(actual));
}
