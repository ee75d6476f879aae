import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ENVIRONMENT } from '../../../core/contract/deployment.ts';
import { HTTP_FUNCTIONS } from '../../../core/contract/http/routes.ts';
import { managementEndpoint } from '../../../functions/shared/clients.ts';
import { readEnvironment } from '../../../functions/shared/environment.ts';
import { FUNCTION_SPECS } from '../../../lib/function-specs.ts';

const VALUES: Readonly<Record<keyof typeof ENVIRONMENT, string>> = {
  table: 'table',
  bus: 'bus',
  stateMachines: '{"convert":"arn:aws:states:us-east-1:111111111111:stateMachine:convert"}',
  webSocketUrl: 'wss://abc.execute-api.us-east-1.amazonaws.com/prod',
  signingSecret: 'arn:aws:secretsmanager:us-east-1:111111111111:secret:signing',
  sessionSecret: 'arn:aws:secretsmanager:us-east-1:111111111111:secret:sessions',
  ruleMachine: 'arn:aws:states:us-east-1:111111111111:stateMachine:convert-by-rule',
  ruleRole: 'arn:aws:iam::111111111111:role/events',
  ruleDeadLetters: 'arn:aws:sqs:us-east-1:111111111111:dead-letters',
  eventTenants: '{"defaultTenant":"default","byOrigin":{}}',
  rulesPerTenant: '20',
  fairShare: '{"requestsPerSecond":50,"requestBurst":1000,"waitShare":0.25,"waitBurstSeconds":25}',
  tenantClaim: 'tenant',
  scopeClaim: 'scope',
  heartbeatSeconds: '60',
  sessionIdleSeconds: '1800',
  sessionTotalSeconds: '28800',
  leaseSeconds: '180',
  version: '1.2.3',
  logLevel: 'info',
};

describe('a function starts with only the environment of its spec', () => {
  const before = { ...process.env };
  beforeEach(() => {
    for (const name of Object.values(ENVIRONMENT)) delete process.env[name];
    process.env.AWS_REGION = 'us-east-1';
  });
  afterEach(() => {
    process.env = { ...before };
  });

  test.each(HTTP_FUNCTIONS)('%s', async (name) => {
    for (const key of [
      'table',
      'version',
      'logLevel',
      ...FUNCTION_SPECS[name].environment,
      ...FUNCTION_SPECS[name].secrets,
    ] as const)
      process.env[ENVIRONMENT[key]] = VALUES[key];
    const { handler } = await import(`../../../functions/${name}/index.ts`);
    expect(typeof handler).toBe('function');
    // Lambda's runtime for Node 24 accepts handlers that return a promise, but no callbacks.
    expect(handler.length).toBeLessThanOrEqual(2);
  });
});

describe('environment', () => {
  test('is parsed, with defaults for optional variables', () => {
    expect(
      readEnvironment(['stateMachines', 'leaseSeconds', 'tenantClaim'], {
        STATE_MACHINE_ARNS: VALUES.stateMachines,
        LEASE_SECONDS: '180',
      }),
    ).toEqual({
      stateMachines: { convert: 'arn:aws:states:us-east-1:111111111111:stateMachine:convert' },
      leaseSeconds: 180,
      tenantClaim: 'tenant',
      version: '0.0.0',
      logLevel: 'info',
    });
  });

  test('errors have the names of missing or malformed variables, but not their values', () => {
    const wrong = { STATE_MACHINE_ARNS: '{secret', LEASE_SECONDS: 'secret', WEBSOCKET_URL: 'https://secret' };
    const read = () => readEnvironment(['table', 'stateMachines', 'leaseSeconds', 'webSocketUrl'], wrong);
    expect(read).toThrow('TABLE_NAME, STATE_MACHINE_ARNS, LEASE_SECONDS, WEBSOCKET_URL');
    expect(read).not.toThrow('secret');
  });
});

test('the management API of connections has the same address over HTTP', () => {
  expect(managementEndpoint('wss://abc.example/prod')).toBe('https://abc.example/prod');
  expect(managementEndpoint('ws://127.0.0.1:4000/local')).toBe('http://127.0.0.1:4000/local');
});
