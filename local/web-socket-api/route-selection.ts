import type { RouteDefinition } from '../api-gateway/definition.ts';

/** Never chosen by a message: the gateway itself calls these. */
const LIFECYCLE = ['$connect', '$disconnect'];

const valueAt = (body: string, property: readonly string[]): string | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  for (const name of property) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value);
};

/**
 * The route that a message's own property names; `$default` where it names none that there is, or is no JSON.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-selection-expressions.html
 */
export const selectRoute = (
  routes: readonly RouteDefinition[],
  property: readonly string[],
  body: string,
): RouteDefinition | undefined => {
  const key = valueAt(body, property);
  const named = routes.find(({ routeKey }) => routeKey === key && !LIFECYCLE.includes(routeKey));
  return named ?? routes.find(({ routeKey }) => routeKey === '$default');
};
