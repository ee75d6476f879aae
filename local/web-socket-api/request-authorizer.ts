import type { RequestAuthorizerDefinition } from '../api-gateway/definition.ts';
import { invokeInTime } from '../api-gateway/invoke-in-time.ts';
import type { Clock, FunctionInvoker } from '../engine.ts';
import type { Handshake } from './events.ts';
import { type AuthorizerDecision, evaluateAuthorizer } from './policy.ts';

export const UNAUTHORIZED: AuthorizerDecision = { allowed: false, status: 401, message: 'Unauthorized' };
const FAILED: AuthorizerDecision = { allowed: false, status: 500, message: 'Internal server error' };

/** The function is invoked only if every identity source has a value. */
export const hasIdentity = (identitySources: readonly string[], handshake: Handshake): boolean =>
  identitySources.every((source) => {
    const [, place, name = ''] = /^route\.request\.(header|querystring)\.(.+)$/.exec(source) ?? [];
    if (place === 'querystring') return Boolean(handshake.queryStringParameters?.[name]);
    const wanted = name.toLowerCase();
    return Object.entries(handshake.headers).some(
      ([header, value]) => header.toLowerCase() === wanted && value !== '',
    );
  });

/** A function that fails with exactly "Unauthorized" means 401. Any other failure means 500. */
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
 * Invokes a Lambda authorizer of type REQUEST to decide whether a client can connect.
 * @param event the input of the function
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
