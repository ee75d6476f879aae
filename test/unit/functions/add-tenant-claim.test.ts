import { describe, expect, test } from '@jest/globals';
import type { PreTokenGenerationV3TriggerEvent } from 'aws-lambda';
import { SCOPES } from '../../../core/contract/http/routes.ts';
import type { ClientTenants } from '../../../core/contract/tenant-claim.ts';
import {
  ClientWithoutTenantError,
  createAddTenantClaimHandler,
} from '../../../functions/add-tenant-claim/handler.ts';

const eventOf = (clientId: string, scopes?: string[]): PreTokenGenerationV3TriggerEvent => ({
  version: '3',
  triggerSource: 'TokenGeneration_ClientCredentials',
  region: 'eu-west-1',
  userPoolId: 'eu-west-1_example',
  userName: '',
  callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId },
  request: { userAttributes: {}, groupConfiguration: {}, scopes },
  response: { claimsAndScopeOverrideDetails: {} },
});

const tokenOf = async (tenants: ClientTenants, event: PreTokenGenerationV3TriggerEvent) => {
  const answer = await createAddTenantClaimHandler({ tenantClaim: 'org', tenants })(event);
  return answer.response.claimsAndScopeOverrideDetails.accessTokenGeneration;
};

describe('add-tenant-claim', () => {
  test('assigns a configured client its tenant', async () => {
    const tenants = { defaultTenant: 'others', byClient: { a1: 'acme' } };
    expect((await tokenOf(tenants, eventOf('a1')))?.claimsToAddOrOverride).toEqual({ org: 'acme' });
  });

  test('assigns other clients the default tenant', async () => {
    const tenants = { defaultTenant: 'others', byClient: { a1: 'acme' } };
    expect((await tokenOf(tenants, eventOf('b2')))?.claimsToAddOrOverride).toEqual({ org: 'others' });
  });

  test('issues no token without a default tenant', async () => {
    const tenants = { defaultTenant: null, byClient: { a1: 'acme' } };
    await expect(tokenOf(tenants, eventOf('b2'))).rejects.toBeInstanceOf(ClientWithoutTenantError);
  });

  test('does not read a tenant from the prototype of the map', async () => {
    const tenants = { defaultTenant: null, byClient: {} };
    await expect(tokenOf(tenants, eventOf('constructor'))).rejects.toBeInstanceOf(ClientWithoutTenantError);
  });

  test('renames the API’s scopes and keeps other scopes', async () => {
    const given = [...SCOPES.map((scope) => `bulkhead/${scope}`), 'elsewhere/containers:read'];
    const token = await tokenOf({ defaultTenant: 'acme', byClient: {} }, eventOf('a1', given));
    expect(token?.scopesToAdd).toEqual([...SCOPES]);
    expect(token?.scopesToSuppress).toEqual(SCOPES.map((scope) => `bulkhead/${scope}`));
  });
});
