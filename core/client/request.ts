import type { Route } from '../contract/http/routes.ts';
import type { CallOptions } from './types.ts';

/** Path parameters, query and body of any route. `RequestOf` in types.ts has the types for each route. */
export interface AnyRequest extends CallOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
}

/** `{name+}` stands for the rest of a path, with its slashes. Any other parameter is one segment. */
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
