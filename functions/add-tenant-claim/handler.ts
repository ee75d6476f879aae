import type { PreTokenGenerationV3TriggerEvent } from 'aws-lambda';
import { type ClientTenants, RESOURCE_SERVER } from '../../core/contract/tenant-claim.ts';
import { BulkheadError } from '../../core/domain/errors.ts';

/** Cognito returns `400` to the client and issues no token. */
export class ClientWithoutTenantError extends BulkheadError {
  readonly code = 'unauthorized';
}

interface AddTenantClaimDependencies {
  /** Name of the claim. */
  readonly tenantClaim: string;
  readonly tenants: ClientTenants;
}

const PREFIX = `${RESOURCE_SERVER}/`;

/**
 * A trigger of a Cognito user pool, V3: adds the tenant claim to a machine's access token and
 * strips the prefix of its scopes (`containers:read` for `bulkhead/containers:read`).
 *
 * Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
 *
 * @throws ClientWithoutTenantError
 */
export const createAddTenantClaimHandler =
  ({ tenantClaim, tenants }: AddTenantClaimDependencies) =>
  async (event: PreTokenGenerationV3TriggerEvent): Promise<PreTokenGenerationV3TriggerEvent> => {
    const { clientId } = event.callerContext;
    const own = Object.hasOwn(tenants.byClient, clientId) ? tenants.byClient[clientId] : undefined;
    const tenant = own ?? tenants.defaultTenant;
    if (tenant === null) throw new ClientWithoutTenantError('No tenant is configured for this client.');
    const prefixed = (event.request.scopes ?? []).filter((scope) => scope.startsWith(PREFIX));
    return {
      ...event,
      response: {
        claimsAndScopeOverrideDetails: {
          accessTokenGeneration: {
            claimsToAddOrOverride: { [tenantClaim]: tenant },
            scopesToAdd: prefixed.map((scope) => scope.slice(PREFIX.length)),
            scopesToSuppress: prefixed,
          },
        },
      },
    };
  };
