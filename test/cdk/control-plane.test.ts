import { rmSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { INTERNAL_FUNCTIONS } from '../../core/contract/deployment.ts';
import { ROUTES } from '../../core/contract/http/routes.ts';
import { BulkheadControlPlane, type BulkheadControlPlaneProps } from '../../lib/constructs/control-plane.ts';
import { SynthesisError } from '../../lib/errors.ts';
import { RESERVED_CONCURRENCY } from '../../lib/reserved-concurrency.ts';
import { placeholderFunctions } from '../../scripts/documents/template.ts';
import { pathOf, resourcesOf, templateOf } from './helpers/synthesized.ts';

const inAnotherApp = (props: (stack: Stack) => Partial<BulkheadControlPlaneProps>): Template => {
  const stack = new Stack(new App({ builtinCloudFormationValidation: false }), 'Theirs');
  const prebundledFunctions = placeholderFunctions();
  try {
    new BulkheadControlPlane(stack, 'Containers', { version: '9.9.9', prebundledFunctions, ...props(stack) });
    return Template.fromStack(stack);
  } finally {
    rmSync(prebundledFunctions, { recursive: true });
  }
};

describe('in another app', () => {
  const template = inAnotherApp((stack) => ({
    oidc: { issuer: 'https://login.example.org', audience: ['one', 'two'] },
    tenantClaim: 'org',
    scopeClaim: 'permissions',
    eventBusName: 'containers',
    alarmTopic: new Topic(stack, 'Pager'),
  }));

  test('the control plane accepts tokens of the app’s issuer', () => {
    template.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      JwtConfiguration: { Issuer: 'https://login.example.org', Audience: ['one', 'two'] },
    });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: { TENANT_CLAIM: 'org', SCOPE_CLAIM: 'permissions', BULKHEAD_VERSION: '9.9.9' },
      },
    });
  });

  test('the alarms notify the app’s topic', () => {
    const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
    expect(alarms.length).toBeGreaterThan(0);
    for (const alarm of alarms) expect(alarm.Properties.AlarmActions).toHaveLength(1);
  });

  test('the bus has the configured name', () => {
    template.hasResourceProperties('AWS::Events::EventBus', { Name: 'containers' });
  });
});

describe('without an issuer', () => {
  const template = inAnotherApp(() => ({}));

  test('the control plane creates one whose clients are machines', () => {
    template.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      AllowedOAuthFlows: ['client_credentials'],
      GenerateSecret: true,
    });
    template.hasResourceProperties('AWS::Cognito::UserPool', {
      AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
      LambdaConfig: { PreTokenGenerationConfig: { LambdaVersion: 'V3_0' } },
    });
  });

  test('the client’s id is used as the audience', () => {
    const [client] = Object.keys(template.findResources('AWS::Cognito::UserPoolClient'));
    template.hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      JwtConfiguration: { Audience: [{ Ref: client }], Issuer: Match.anyValue() },
    });
  });
});

describe('invalid configuration', () => {
  test('without functions is refused', () => {
    expect(() => inAnotherApp(() => ({ prebundledFunctions: undefined }))).toThrow(SynthesisError);
  });

  test('missing functions are named', () => {
    expect(() => inAnotherApp(() => ({ prebundledFunctions: '/nowhere' }))).toThrow(
      /create-container.*sweep/,
    );
  });

  test.each([
    [{ oidcIssuer: 'https://issuer.example.com' }, /oidcAudience/],
    [{ heartbeatSeconds: 'soon' }, /heartbeatSeconds/],
    [{ heartbeatSeconds: '200', leaseSeconds: '900' }, /heartbeatSeconds to at most 150/],
    [{ heartbeatSeconds: '60', leaseSeconds: '120' }, /leaseSeconds to more than two heartbeats/],
    [{ cognitoTenants: '{"a": 1}' }, /cognitoTenants/],
    [{ cognitoTenants: 'not JSON' }, /cognitoTenants/],
    [{ deletionProtection: 'perhaps' }, /deletionProtection/],
    [{ eventTenants: '{"a b": "acme"}' }, /eventTenants/],
    [{ eventTenants: '{"aws.guardduty@12": "acme"}' }, /eventTenants/],
  ])('context %j', (context, message) => {
    expect(() => templateOf(context)).toThrow(SynthesisError);
    expect(() => templateOf(context)).toThrow(message);
  });
});

test('context eventTenants assigns sources of events to tenants', () => {
  const given = '{"aws.guardduty@111122223333": "acme", "*": ["acme", "umbrella"]}';
  const functions = resourcesOf(
    templateOf({ eventTenants: given, eventTenant: 'acme' }),
    'AWS::Lambda::Function',
  );
  const values = functions.flatMap(({ Properties }) => {
    const { Variables } = Properties.Environment as { Variables: Record<string, unknown> };
    return Variables.EVENT_TENANTS === undefined ? [] : [JSON.parse(String(Variables.EVENT_TENANTS))];
  });
  const assigned = {
    defaultTenant: 'acme',
    byOrigin: { 'aws.guardduty@111122223333': ['acme'], '*': ['acme', 'umbrella'] },
  };
  expect(values).toEqual([assigned, assigned]);
});

describe('reserved concurrency', () => {
  const reservedIn = (context: Record<string, unknown>) =>
    resourcesOf(templateOf(context), 'AWS::Lambda::Function').flatMap((one) => {
      const reserved = one.Properties.ReservedConcurrentExecutions;
      return reserved === undefined ? [] : [[pathOf(one).split('/').at(-3) ?? '', Number(reserved)] as const];
    });

  test('is not set by default, so that an account with a limit of 10 can deploy', () => {
    expect(reservedIn({})).toEqual([]);
    expect(reservedIn({ reservedConcurrency: 'false' })).toEqual([]);
  });

  test('covers hosts and workflows, and leaves 100 of 1,000 executions unreserved', () => {
    const reserved = new Map(reservedIn({ reservedConcurrency: 'true' }));
    expect(Object.fromEntries(reserved)).toEqual(RESERVED_CONCURRENCY);
    const needed = INTERNAL_FUNCTIONS.filter((name) => !reserved.has(name));
    expect(needed).toEqual([]);
    const holding = ROUTES.flatMap((route) => (route.overShare === undefined ? [] : [route.function]));
    expect(holding.filter((name) => !reserved.has(name))).toEqual([]);
    expect([...reserved.values()].reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(900);
  });

  test('can be set for single functions in the context', () => {
    const reserved = Object.fromEntries(reservedIn({ reservedConcurrency: '{"operations": 7}' }));
    expect(reserved).toMatchObject({ operations: 7, sessions: RESERVED_CONCURRENCY.sessions });
    expect(() => templateOf({ reservedConcurrency: '{"nothing": 7}' })).toThrow(/reservedConcurrency/);
  });
});

test('a dashboard and an access log of the WebSocket API are created on request only', () => {
  const has = (context: Record<string, unknown>) => {
    const template = templateOf(context);
    const [stage] = resourcesOf(template, 'AWS::ApiGatewayV2::Stage').filter(
      ({ Properties }) => Properties.StageName === 'v1',
    );
    return {
      dashboards: resourcesOf(template, 'AWS::CloudWatch::Dashboard').length,
      accessLog: stage?.Properties.AccessLogSettings !== undefined,
    };
  };
  expect(has({})).toEqual({ dashboards: 0, accessLog: false });
  expect(has({ dashboard: 'true', hostAccessLog: 'true' })).toEqual({ dashboards: 1, accessLog: true });
});

describe('session frames have a separate limit from other messages of hosts', () => {
  const throttling = (burst: number, rate: number) => ({
    ThrottlingBurstLimit: burst,
    ThrottlingRateLimit: rate,
  });
  const expected = (hosts: object, sessions: object) => ({
    StageName: 'v1',
    DefaultRouteSettings: Match.objectLike(hosts),
    RouteSettings: { session: Match.objectLike(sessions) },
  });

  test('by default', () => {
    inAnotherApp(() => ({})).hasResourceProperties(
      'AWS::ApiGatewayV2::Stage',
      expected(throttling(4000, 2000), throttling(2000, 1000)),
    );
  });

  test('as configured', () => {
    const props = {
      hostThrottle: { ratePerSecond: 5000, burst: 3000 },
      sessionThrottle: { ratePerSecond: 10, burst: 20 },
    };
    inAnotherApp(() => props).hasResourceProperties(
      'AWS::ApiGatewayV2::Stage',
      expected(throttling(3000, 5000), throttling(20, 10)),
    );
  });
});

test('each route that can occupy its function, or needs no token, has its own limit, which is created after the route', () => {
  const template = templateOf();
  const [stage] = resourcesOf(template, 'AWS::ApiGatewayV2::Stage').filter(
    ({ Properties }) => Properties.StageName === '$default',
  );
  const settings = stage?.Properties.RouteSettings as Record<string, { ThrottlingRateLimit: number }>;
  const holding = ROUTES.filter(({ overShare, scope }) => overShare !== undefined || scope === null);
  expect(Object.keys(settings).sort()).toEqual(holding.map(({ method, path }) => `${method} ${path}`).sort());
  expect(stage?.Properties.DefaultRouteSettings).toMatchObject({ ThrottlingRateLimit: 2000 });
  for (const { ThrottlingRateLimit } of Object.values(settings)) expect(ThrottlingRateLimit).toBe(500);
  expect((stage as { DependsOn?: string[] } | undefined)?.DependsOn).toHaveLength(holding.length);
});
