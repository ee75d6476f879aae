import type { ContainerSummary } from '../../../core/contract/container.ts';
import { DockerError } from '../errors.ts';
import { toDockerId } from '../ids.ts';
import { toIsolation } from './isolation.ts';
import { ownLabels } from './labels.ts';
import { dockerState } from './state.ts';

export type Filters = Readonly<Record<string, readonly string[]>>;

/** Parses the filters of a query: `{"name":["a"]}`, or `{"name":{"a":true}}` from older clients. */
export const parseFilters = (json: string | null): Filters => {
  if (json === null || json === '') return {};
  try {
    const entries = Object.entries(JSON.parse(json) as Record<string, unknown>).map(([name, values]) => [
      name,
      Array.isArray(values)
        ? values.map(String)
        : Object.entries(values as object).flatMap(([value, on]) => (on === true ? [value] : [])),
    ]);
    return Object.fromEntries(entries);
  } catch (cause) {
    throw new DockerError(400, 'invalid filters: not a JSON object of lists', { cause });
  }
};

/** Refuses filters that are not among `known`. */
export const checkFilters = (filters: Filters, known: readonly string[]): void => {
  for (const name of Object.keys(filters))
    if (!known.includes(name)) throw new DockerError(400, `invalid filter '${name}'`);
};

/** The value of a filter that can have only one. */
export const onlyValue = (filters: Filters, name: string): string | undefined => {
  const values = filters[name] ?? [];
  if (values.length > 1) throw new DockerError(400, `invalid filter '${name}': more than one value`);
  return values[0];
};

export const labelMatches = (labels: Readonly<Record<string, string>>, wanted: string): boolean => {
  const at = wanted.indexOf('=');
  if (at < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, at)] === wanted.slice(at + 1);
};

/** Docker treats names as regular expressions. Only `^`, `/` and `$` are supported; other expressions are compared literally. */
const nameMatches = (name: string, wanted: string): boolean => {
  if (!/^\^?\/?[\w.-]*\$?$/.test(wanted)) return name.includes(wanted);
  const bare = wanted.replace(/^\^?\/?/, '').replace(/\$$/, '');
  const fromStart = /^(\^|\/)/.test(wanted);
  const toEnd = wanted.endsWith('$');
  if (fromStart && toEnd) return name === bare;
  if (fromStart) return name.startsWith(bare);
  return toEnd ? name.endsWith(bare) : name.includes(bare);
};

const withoutTag = (image: string): string => image.toLowerCase().replace(/:latest$/, '');

/** `80`, `80/tcp` or `80-90/tcp`. */
const matchesPort = (
  { ports }: ContainerSummary,
  value: string,
  side: 'hostPort' | 'containerPort',
): boolean => {
  const [, first, last = first, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp))?$/.exec(value) ?? [];
  if (first === undefined) throw new DockerError(400, `invalid filter: invalid port "${value}"`);
  return ports.some((port) => {
    const number = port[side];
    const isInside = number !== undefined && number >= Number(first) && number <= Number(last);
    return isInside && (port.protocol ?? 'tcp') === protocol;
  });
};

const STATES = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead'];

const MATCHERS: Readonly<Record<string, (container: ContainerSummary, value: string) => boolean>> = {
  name: (container, value) => nameMatches(container.name, value),
  id: (container, value) => toDockerId(container.id).startsWith(value.toLowerCase().replaceAll('-', '')),
  label: (container, value) => labelMatches(ownLabels(container.labels), value),
  status: (container, value) => {
    if (!STATES.includes(value)) throw new DockerError(400, `invalid filter 'status=${value}'`);
    return dockerState(container) === value;
  },
  ancestor: (container, value) => withoutTag(container.image) === withoutTag(value),
  exited: (container, value) =>
    dockerState(container) === 'exited' && String(container.exitCode ?? '') === value,
  isolation: (container, value) => {
    const wanted = value.toLowerCase() === 'default' ? 'process' : value.toLowerCase();
    return toIsolation(container.runtimeType) === wanted;
  },
  // No container has a mounted volume, a health check or belongs to a task.
  volume: () => false,
  health: (_, value) => value === 'none',
  'is-task': (_, value) => value === 'false' || value === '0',
  publish: (container, value) => matchesPort(container, value, 'hostPort'),
  expose: (container, value) => matchesPort(container, value, 'containerPort'),
  network: (container, value) => container.switchName.toLowerCase() === value.toLowerCase(),
};

/** Whether `docker ps` shows a container: every filter must match, by one of its values. For labels all values must match. */
export const matchesFilters = (container: ContainerSummary, filters: Filters): boolean =>
  Object.entries(filters).every(([name, values]) => {
    const matches = MATCHERS[name];
    if (matches === undefined) return true;
    const test = (value: string): boolean => matches(container, value);
    return name === 'label' ? values.every(test) : values.some(test);
  });

/** `before` and `since` name a container, which the caller looks up. */
export const CONTAINER_FILTERS: readonly string[] = [...Object.keys(MATCHERS), 'before', 'since'];
