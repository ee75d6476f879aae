import type { RequestAuthorizerDefinition } from '../api-gateway/definition.ts';
import { invokeInTime } from '../api-gateway/invoke-in-time.ts';
import type { Clock, FunctionInvoker } from '../engine.ts';
import type { Handshake } from './events.ts';
import { type AuthorizerDecision, evaluateAuthorizer } from './policy.ts';

export const UNAUTHORIZED: AuthorizerDecision = { allowed: false, status: 401, message: 'Unauthorized' };
const FAILED: AuthorizerDecision = { allowed: false, status: 500, message: 'Internal server error' };

/** Every identity source must be there and not empty, or the function is not even asked. */
export const hasIdentity = (identitySources: readonly string[], handshake: Handshake): boolean =>
  identitySources.every((source) => {
    const [, place, name = ''] = /^route\.request\.(header|querystring)\.(.+)$/.exec(source) ?? [];
    if (place === 'querystring') return Boolean(handshake.queryStringParameters?.[name]);
    const wanted = name.toLowerCase();
    return Object.entries(handshake.headers).some(
      ([header, value]) => header.toLowerCase() === wanted && value !== '',
    );
  });

/** A function that fails with exactly "Unauthorized" means 401; any other failure is the authorizer's own, 500. */
const saysUnauthorized = (payload: string): boolean => {
  try {
    const error: unknown = JSON.parse(payload);
    return typeof error === 'object' && error !== null && 'errorMessage' in error
      ? error.errorMessage === 'Unauthorized'
      : false;
  } catch {
    return false;
  }
};

/**
 * Asks a Lambda authorizer of type REQUEST whether a client may connect.
 * @param event what the function is given
 * @param resource the ARN of the `$connect` route
 */
export const askAuthorizer = async (
  { functions, clock }: { readonly functions: FunctionInvoker; readonly clock: Clock },
  { functionArn }: RequestAuthorizerDefinition,
  asked: { readonly event: unknown; readonly resource: string; readonly timeoutMs: number },
): Promise<AuthorizerDecision> => {
  const payload = JSON.stringify(asked.event);
  const answer = await invokeInTime(functions, clock, { functionArn, payload, timeoutMs: asked.timeoutMs });
  if (answer.outcome === 'answered') return evaluateAuthorizer(JSON.parse(answer.payload), asked.resource);
  return saysUnauthorized(answer.payload ?? '') ? UNAUTHORIZED : FAILED;
};
