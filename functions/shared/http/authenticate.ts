import type { Route } from '../../../core/contract/http/routes.ts';
import { MissingScopeError, UnauthorizedError } from '../../../core/domain/errors.ts';
import { TENANT_PATTERN } from '../../../store/keys.ts';
import type { HttpEvent, Identity } from './exchange.ts';

export interface ClaimNames {
  readonly tenantClaim: string;
  readonly scopeClaim: string;
}

/** Cognito writes the scopes of a resource server as `<server>/<scope>`. This is the name of the server. */
const RESOURCE_SERVER = 'bulkhead/';

/** API Gateway flattens a list to `[a b]`; a string from the issuer is separated by spaces. */
const scopesOf = (claim: unknown): ReadonlySet<string> => {
  const texts = Array.isArray(claim)
    ? claim.map(String)
    : String(claim ?? '')
        .replace(/^\[|\]$/g, '')
        .split(/[\s,]+/);
  return new Set(
    texts.map((text) => (text.startsWith(RESOURCE_SERVER) ? text.slice(RESOURCE_SERVER.length) : text)),
  );
};

/**
 * The caller, from the claims of a token that API Gateway's authorizer has validated.
 * @throws UnauthorizedError if the token has no tenant or no subject
 * @throws MissingScopeError with the scope that the route needs
 */
export const authenticate = (
  event: HttpEvent,
  scope: NonNullable<Route['scope']>,
  { tenantClaim, scopeClaim }: ClaimNames,
): Identity => {
  const claims = event.requestContext.authorizer?.jwt?.claims;
  if (claims === undefined) throw new UnauthorizedError('The request has no token.');
  const tenant = claims[tenantClaim];
  if (typeof tenant !== 'string' || !TENANT_PATTERN.test(tenant))
    throw new UnauthorizedError(`The token has no valid tenant in the claim "${tenantClaim}".`);
  const actor = claims.sub ?? claims.client_id;
  if (typeof actor !== 'string' || actor === '' || actor.length > 256)
    throw new UnauthorizedError('The token has no valid subject.');
  const scopes = scopesOf(claims[scopeClaim]);
  if (!scopes.has(scope))
    throw new MissingScopeError(`The token needs the scope ${scope}.`, { context: { scope } });
  return { tenant, actor, scopes };
};
