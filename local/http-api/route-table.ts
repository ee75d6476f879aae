import type { RouteDefinition } from '../api-gateway/definition.ts';

export interface RouteMatch {
  readonly route: RouteDefinition;
  /** Values of `{name}` and `{name+}`, decoded. */
  readonly pathParameters: Readonly<Record<string, string>>;
}

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'greedy'; readonly name: string };

interface Entry {
  readonly route: RouteDefinition;
  readonly method: string;
  readonly segments: readonly Segment[];
}

const RANK = { literal: 0, variable: 1, greedy: 2 } as const;

const segmentOf = (text: string): Segment => {
  const name = /^\{(.+?)(\+?)\}$/.exec(text);
  if (name === null) return { kind: 'literal', text };
  return { kind: name[2] === '+' ? 'greedy' : 'variable', name: name[1] ?? '' };
};

const entryOf = (route: RouteDefinition): Entry => {
  const [method = '', path = ''] = route.routeKey.split(' ');
  return { route, method, segments: path.split('/').slice(1).map(segmentOf) };
};

/** More specific routes first: literal before variable before greedy variable, from the left; then a method before ANY. */
const bySpecificity = (a: Entry, b: Entry): number => {
  for (const [index, segment] of a.segments.entries()) {
    const other = b.segments[index];
    if (other === undefined) return 1;
    if (segment.kind !== other.kind) return RANK[segment.kind] - RANK[other.kind];
  }
  return Number(a.method === 'ANY') - Number(b.method === 'ANY');
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const matchSegments = (
  segments: readonly Segment[],
  parts: readonly string[],
): Record<string, string> | undefined => {
  const parameters: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const part = parts[index];
    if (part === undefined) return undefined;
    if (segment.kind === 'greedy') {
      parameters[segment.name] = decoded(parts.slice(index).join('/'));
      return parameters;
    }
    if (segment.kind === 'literal' && segment.text !== decoded(part)) return undefined;
    if (segment.kind === 'variable') {
      if (part === '') return undefined;
      parameters[segment.name] = decoded(part);
    }
  }
  return segments.length === parts.length ? parameters : undefined;
};

/**
 * Chooses a route as API Gateway does: a full match, then path variables, then greedy ones, then `$default`.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
 */
export class RouteTable {
  readonly #entries: readonly Entry[];
  readonly #default: RouteDefinition | undefined;

  constructor(routes: readonly RouteDefinition[]) {
    this.#default = routes.find((route) => route.routeKey === '$default');
    this.#entries = routes
      .filter((route) => route.routeKey !== '$default')
      .map(entryOf)
      .sort(bySpecificity);
  }

  /** @param path percent-encoded, without the stage */
  match(method: string, path: string): RouteMatch | undefined {
    const parts = path.split('/').slice(1);
    for (const entry of this.#entries) {
      if (entry.method !== 'ANY' && entry.method !== method) continue;
      const pathParameters = matchSegments(entry.segments, parts);
      if (pathParameters !== undefined) return { route: entry.route, pathParameters };
    }
    return this.#default && { route: this.#default, pathParameters: {} };
  }
}
