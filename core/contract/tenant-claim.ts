import * as z from 'zod/mini';
import { ENVIRONMENT } from './deployment.ts';

/** Folder in `functions/` of the trigger that sets the tenant claim in tokens of the stack's own user pool. */
export const TENANT_CLAIM_FUNCTION = 'add-tenant-claim';

/** Identifier of the user pool's resource server: in a Cognito token each scope has it as a prefix, with a slash. */
export const RESOURCE_SERVER = 'bulkhead';

export const TENANT_CLAIM_ENVIRONMENT = {
  tenantClaim: ENVIRONMENT.tenantClaim,
  /** JSON: {@link ClientTenantsSchema}. */
  tenants: 'CLIENT_TENANTS',
} as const;

/** The tenant of each client's tokens. */
export const ClientTenantsSchema = z.strictObject({
  /** For clients that `byClient` does not list; null: they get no token. */
  defaultTenant: z.nullable(z.string()),
  byClient: z.record(z.string(), z.string()),
});
export type ClientTenants = z.infer<typeof ClientTenantsSchema>;
