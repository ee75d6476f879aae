import { ClientTenantsSchema, TENANT_CLAIM_ENVIRONMENT } from '../../core/contract/tenant-claim.ts';
import { ConfigurationError } from '../shared/errors.ts';
import { createAddTenantClaimHandler } from './handler.ts';

const required = (name: string): string => {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new ConfigurationError(`Environment variable missing: ${name}`);
  return value;
};

export const handler = createAddTenantClaimHandler({
  tenantClaim: required(TENANT_CLAIM_ENVIRONMENT.tenantClaim),
  tenants: ClientTenantsSchema.parse(JSON.parse(required(TENANT_CLAIM_ENVIRONMENT.tenants))),
});
