import type { Route } from '../contract/http/routes.ts';
import type { CallOptions } from './types.ts';

/** Path parameters, query and body of any route; the types of each route are {@link import('./types.ts')}'s. */
export interface AnyRequest extends CallOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
}

/** `{name+}` matches a rest with slashes, which are kept; any other parameter is one segment. */
const fillPath = (path: string, params: Readonly<Record<string, string>>): string =>
  path.replace(/\{(\w+)(\+?)\}/g, (_, name: string, rest: string) => {
    const value = params[name] ?? '';
    return rest === '+' ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
  });

const fillQuery = (query: NonNullable<AnyRequest['query']>): string => {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => [name, one] as [string, string]),
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
};

/** Path and query of a request. */
export const targetOf = (route: Route, { params = {}, query = {} }: AnyRequest): string =>
  `${fillPath(route.path, params)}${fillQuery(query)}`;

export const isDryRun = ({ query }: AnyRequest): boolean => query?.dryRun === 'true';
