import type { PreTokenGenerationV3TriggerEvent } from 'aws-lambda';
import { type ClientTenants, RESOURCE_SERVER } from '../../core/contract/tenant-claim.ts';
import { BulkheadError } from '../../core/domain/errors.ts';

/** Cognito answers the client `400`, and it has no token. */
export class ClientWithoutTenantError extends BulkheadError {
  readonly code = 'unauthorized';
}

export interface AddTenantClaimDependencies {
  /** Name of the claim. */
  readonly tenantClaim: string;
  readonly tenants: ClientTenants;
}

const PREFIX = `${RESOURCE_SERVER}/`;

/**
 * A trigger of a Cognito user pool, V3: gives a machine's access token the claim that names its tenant, and its
 * scopes the names that they have everywhere else (`containers:read` for `bulkhead/containers:read`).
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
    if (tenant === null) throw new ClientWithoutTenantError('No tenant is named for this client.');
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
