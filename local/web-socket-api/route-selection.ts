import type { RouteDefinition } from '../api-gateway/definition.ts';

/** Routes that a message cannot select, because only the gateway calls them. */
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
 * The route that a property of the message selects; `$default` if there is no such route or the message is not JSON.
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
