import { RULE_LIMITS } from '../../core/contract/conversion-rule.ts';
import { EVENT_SOURCE } from '../../core/contract/event.ts';
import { ValidationError } from '../../core/domain/errors.ts';

/**
 * A tenant's pattern, narrowed on the bus so that Bulkhead events of other tenants do not match. The access check happens
 * when the event is selected (core/domain/event-tenants.ts). The narrowed pattern keeps one tenant's rules from starting
 * an execution for each event of every other tenant.
 *
 * A pattern cannot contain a path twice, so patterns that cannot be narrowed are refused. So are fields below `source` or
 * `detail.tenant`, because such a field makes the pattern match events without them.
 */
type Pattern = Readonly<Record<string, unknown>>;
interface Field {
  readonly path: string;
  readonly matchers: readonly unknown[];
}

const SOURCE = 'source';
const TENANT = 'detail.tenant';

const isObject = (value: unknown): value is Pattern =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 0;

const refuse = (pointer: string, detail: string): never => {
  throw new ValidationError('The event pattern is not supported.', {
    errors: [{ pointer: `/body/eventPattern${pointer}`, detail }],
  });
};

/** `{"source": {"a": [{"exists": false}]}}` matches every event, because a source has no fields. */
const checkForm = (path: string, value: unknown, pointer: string): void => {
  for (const field of [SOURCE, TENANT])
    if (path.startsWith(`${field}.`) || (path === field && !isList(value)))
      refuse(pointer, 'Must be a list of matchers.');
  if (path === 'detail' && !isObject(value)) refuse(pointer, 'Must be an object.');
};

/** The fields with matchers, in all alternatives. @throws ValidationError for an unsupported form */
const fieldsOf = (pattern: Pattern, prefix = '', at = ''): Field[] =>
  Object.entries(pattern).flatMap(([key, value]): Field[] => {
    const [path, pointer] = [`${prefix}${key}`, `${at}/${key}`];
    if (key === '$or') {
      if (!isList(value) || !value.every(isObject)) return refuse(pointer, 'Must be a list of objects.');
      return value.flatMap((member, index) => fieldsOf(member, prefix, `${pointer}/${index}`));
    }
    checkForm(path, value, pointer);
    if (isObject(value)) return fieldsOf(value, `${path}.`, pointer);
    return Array.isArray(value) ? [{ path, matchers: value }] : [];
  });

/** Whether an element of a `source` list matches Bulkhead's own events; undefined if unknown. */
const letsOwnThrough = (matcher: unknown): boolean | undefined => {
  if (typeof matcher === 'string') return matcher === EVENT_SOURCE;
  if (!isObject(matcher)) return false;
  const { prefix, suffix } = matcher;
  if (typeof prefix === 'string') return EVENT_SOURCE.startsWith(prefix) ? undefined : false;
  if (typeof suffix === 'string') return EVENT_SOURCE.endsWith(suffix) ? undefined : false;
  return undefined;
};

const isForeign = (matchers: readonly unknown[]): boolean =>
  matchers.every((matcher) => letsOwnThrough(matcher) === false);

const withTenant = (pattern: Pattern, tenant: string): Pattern => ({
  ...pattern,
  detail: { ...(isObject(pattern.detail) ? pattern.detail : {}), tenant: [tenant] },
});

/** Matches events of other sources, and Bulkhead's events of the tenant. */
const withEither = (pattern: Pattern, tenant: string): Pattern[] => [
  { ...pattern, [SOURCE]: [{ 'anything-but': [EVENT_SOURCE] }] },
  withTenant(pattern, tenant),
];

const narrowed = (pattern: Pattern, tenant: string): Pattern => {
  const fields = fieldsOf(pattern);
  const tenants = fields.filter(({ path }) => path === TENANT);
  const sources = fields.filter(({ path }) => path === SOURCE);
  const members = Array.isArray(pattern.$or) ? pattern.$or.filter(isObject) : [];
  const named = SOURCE in pattern || (members.length > 0 && members.every((member) => SOURCE in member));
  if (named && sources.every(({ matchers }) => isForeign(matchers))) return pattern;
  if (tenants.some(({ matchers }) => matchers.length !== 1 || matchers[0] !== tenant))
    return refuse('/detail/tenant', `Must be ["${tenant}"]: rules do not receive events of other tenants.`);
  if (tenants.length === 1 && isObject(pattern.detail) && 'tenant' in pattern.detail) return pattern;
  if (tenants.length > 0) return refuse('/detail/tenant', 'Must be in "detail" itself, not in "$or".');
  if (sources.length === 0 && members.length > 0)
    return { ...pattern, $or: members.flatMap((member) => withEither(member, tenant)) };
  if (sources.length === 0) return { ...pattern, $or: withEither({}, tenant) };
  const onlyOwn = SOURCE in pattern && sources.every(({ matchers }) => matchers.every(letsOwnThrough));
  if (onlyOwn) return withTenant(pattern, tenant);
  return refuse(
    '/source',
    `Must name its sources, and "${EVENT_SOURCE}" cannot be combined with others. Use a second rule.`,
  );
};

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map((member) => depthOf(member)))
    : 0;

/** @throws ValidationError with a pointer to the unsupported part */
export const boundPattern = (pattern: Pattern, tenant: string): Pattern => {
  if (depthOf(pattern) > RULE_LIMITS.patternDepth)
    return refuse('', `Must not be nested deeper than ${RULE_LIMITS.patternDepth} levels.`);
  const bound = narrowed(pattern, tenant);
  if (Buffer.byteLength(JSON.stringify(bound)) > RULE_LIMITS.patternBytes)
    return refuse('', `Must not be longer than about ${RULE_LIMITS.patternBytes - 100} bytes.`);
  return bound;
};
