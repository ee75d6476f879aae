import { describe, expect, test } from '@jest/globals';
import { ENTITY_ATTRIBUTE, TABLE } from '../../core/contract/deployment.ts';
import { HTTP_FUNCTIONS, ROUTES } from '../../core/contract/http/routes.ts';
import { FUNCTION_NAMES, FUNCTION_SPECS } from '../../lib/function-specs.ts';
import { OIDC_CONTEXT, pathOf, resourcesOf, templateOf } from './helpers/synthesized.ts';

const template = templateOf();
const only = (type: string) => {
  const [first, ...others] = resourcesOf(template, type);
  expect(others).toEqual([]);
  return first?.Properties ?? {};
};
const functionCalled = (name: string) =>
  resourcesOf(template, 'AWS::Lambda::Function').find((one) => pathOf(one).includes(`/Functions/${name}/`));

describe('the table', () => {
  const table = only('AWS::DynamoDB::Table');

  test('is protected and recoverable, has a stream, and deletes expired items', () => {
    expect(table).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
      TimeToLiveSpecification: { AttributeName: TABLE.ttl, Enabled: true },
      KeySchema: [
        { AttributeName: TABLE.partitionKey, KeyType: 'HASH' },
        { AttributeName: TABLE.sortKey, KeyType: 'RANGE' },
      ],
    });
    expect(resourcesOf(template, 'AWS::DynamoDB::Table')[0]).toMatchObject({ DeletionPolicy: 'Retain' });
  });

  test('has the indexes of the contract, with exactly the projected attributes', () => {
    expect(table.GlobalSecondaryIndexes).toEqual(
      TABLE.indexes.map((index) => ({
        IndexName: index,
        KeySchema: [
          { AttributeName: `${index}pk`, KeyType: 'HASH' },
          { AttributeName: `${index}sk`, KeyType: 'RANGE' },
        ],
        Projection:
          TABLE.projected[index].length === 0
            ? { ProjectionType: 'KEYS_ONLY' }
            : { ProjectionType: 'INCLUDE', NonKeyAttributes: [...TABLE.projected[index]] },
      })),
    );
  });

  test('can be deleted if the context allows it', () => {
    const [thrown] = resourcesOf(
      templateOf({ ...OIDC_CONTEXT, deletionProtection: 'false' }),
      'AWS::DynamoDB::Table',
    );
    expect(thrown).toMatchObject({
      DeletionPolicy: 'Delete',
      Properties: { DeletionProtectionEnabled: false },
    });
  });
});

describe('functions', () => {
  const [functionLogs] = resourcesOf(template, 'AWS::Logs::LogGroup')
    .filter((group) => pathOf(group).includes('/FunctionLogs/'))
    .map(({ logicalId }) => logicalId);

  test('are those of the contract', () => {
    expect(resourcesOf(template, 'AWS::Lambda::Function')).toHaveLength(FUNCTION_NAMES.length);
  });

  test.each(FUNCTION_NAMES)('%s has the required settings', (name) => {
    expect(functionCalled(name)?.Properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      TracingConfig: { Mode: FUNCTION_SPECS[name].traced ? 'Active' : 'PassThrough' },
      LoggingConfig: { LogFormat: 'JSON', LogGroup: { Ref: functionLogs }, SystemLogLevel: 'WARN' },
      Timeout: FUNCTION_SPECS[name].timeoutSeconds,
    });
  });

  test('each have their own role', () => {
    const roles = FUNCTION_NAMES.map((name) => JSON.stringify(functionCalled(name)?.Properties.Role));
    expect(new Set(roles).size).toBe(FUNCTION_NAMES.length);
  });

  test('that run although nothing happens are not traced', () => {
    const untraced = FUNCTION_NAMES.filter((name) => !FUNCTION_SPECS[name].traced);
    expect(untraced).toEqual(['authorize-host', 'host-connection', 'host-message', 'session-frame', 'sweep']);
  });

  test('behind the WebSocket API time out before API Gateway does', () => {
    for (const name of ['authorize-host', 'host-connection', 'host-message', 'session-frame'] as const)
      expect(FUNCTION_SPECS[name].timeoutSeconds).toBeLessThan(29);
  });

  test('functions behind the API time out before API Gateway does', () => {
    for (const name of HTTP_FUNCTIONS) expect(FUNCTION_SPECS[name].timeoutSeconds).toBeLessThanOrEqual(29);
  });

  test('logs expire', () => {
    for (const group of resourcesOf(template, 'AWS::Logs::LogGroup')) {
      expect([pathOf(group), group.Properties.RetentionInDays]).toEqual([pathOf(group), 30]);
    }
  });
});

describe('the HTTPS API', () => {
  const api = resourcesOf(template, 'AWS::ApiGatewayV2::Api').find(
    (one) => one.Properties.ProtocolType === 'HTTP',
  );
  const ofApi = (type: string) =>
    resourcesOf(template, type).filter((one) =>
      JSON.stringify(one.Properties.ApiId).includes(String(api?.logicalId)),
    );
  const routes = ofApi('AWS::ApiGatewayV2::Route');

  test('has exactly the routes of the contract', () => {
    const keys = routes.map((route) => route.Properties.RouteKey);
    expect(keys.sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
  });

  test('requires a token for each route with a scope, and leaves the scope to the function', () => {
    for (const { method, path, scope } of ROUTES) {
      const route = routes.find((one) => one.Properties.RouteKey === `${method} ${path}`);
      expect(route?.Properties.AuthorizationType).toBe(scope === null ? 'NONE' : 'JWT');
      expect(route?.Properties.AuthorizationScopes).toBeUndefined();
    }
  });

  test('sends each route to its function', () => {
    for (const { method, path, function: name } of ROUTES) {
      const route = routes.find((one) => one.Properties.RouteKey === `${method} ${path}`);
      const integration = ofApi('AWS::ApiGatewayV2::Integration').find((one) =>
        JSON.stringify(route?.Properties.Target).includes(`"${one.logicalId}"`),
      );
      expect(integration?.Properties.PayloadFormatVersion).toBe('2.0');
      expect(JSON.stringify(integration?.Properties.IntegrationUri)).toContain(
        functionCalled(name)?.logicalId,
      );
    }
  });

  test('accepts tokens of the issuer in the context', () => {
    expect(ofApi('AWS::ApiGatewayV2::Authorizer')[0]?.Properties.JwtConfiguration).toEqual({
      Issuer: OIDC_CONTEXT.oidcIssuer,
      Audience: [OIDC_CONTEXT.oidcAudience],
    });
    expect(resourcesOf(template, 'AWS::Cognito::UserPool')).toEqual([]);
  });

  test('does not log tokens', () => {
    const logged = templateOf({ ...OIDC_CONTEXT, hostAccessLog: 'true' });
    for (const stage of resourcesOf(logged, 'AWS::ApiGatewayV2::Stage')) {
      const { Format } = stage.Properties.AccessLogSettings as { Format: string };
      expect(Format).toContain('$context.requestId');
      expect(Format.toLowerCase()).not.toMatch(/authorization|header|querystring|authorizer\.(?!error)/);
    }
  });
});

describe('the agents’ WebSocket API', () => {
  const routeOf = (key: string) =>
    resourcesOf(template, 'AWS::ApiGatewayV2::Route').find((one) => one.Properties.RouteKey === key);

  test('authorizes at $connect, with the token in any header', () => {
    expect(routeOf('$connect')?.Properties.AuthorizationType).toBe('CUSTOM');
    const authorizer = resourcesOf(template, 'AWS::ApiGatewayV2::Authorizer').find(
      (one) => one.Properties.AuthorizerType === 'REQUEST',
    );
    expect(authorizer).toBeDefined();
    expect(authorizer?.Properties.IdentitySource).toBeUndefined();
    expect(JSON.stringify(authorizer?.Properties.AuthorizerUri)).toContain(
      functionCalled('authorize-host')?.logicalId,
    );
  });

  test.each([
    ['$connect', 'host-connection'],
    ['$disconnect', 'host-connection'],
    ['$default', 'host-message'],
  ])('sends %s to %s', (key, name) => {
    const target = JSON.stringify(routeOf(key)?.Properties.Target);
    const integration = resourcesOf(template, 'AWS::ApiGatewayV2::Integration').find((one) =>
      target.includes(`"${one.logicalId}"`),
    );
    expect(JSON.stringify(integration?.Properties.IntegrationUri)).toContain(functionCalled(name)?.logicalId);
  });
});

describe('events', () => {
  const mappingOf = (name: string) =>
    resourcesOf(template, 'AWS::Lambda::EventSourceMapping').find((one) =>
      JSON.stringify(one.Properties.FunctionName).includes(String(functionCalled(name)?.logicalId)),
    );

  test.each([
    ['process-changes', ['container', 'operation', 'host', 'image', 'session', 'refusedCommand']],
    ['admit-waiting', ['host']],
  ])('%s sees changes of %j, and what it can’t take is kept', (name, entities) => {
    const mapping = mappingOf(name)?.Properties;
    expect(mapping).toMatchObject({
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BisectBatchOnFunctionError: true,
      DestinationConfig: { OnFailure: { Destination: expect.anything() } },
    });
    const criteria = mapping?.FilterCriteria as { Filters: { Pattern: string }[] } | undefined;
    const [changed] = (criteria?.Filters ?? []).map(({ Pattern }) => JSON.parse(Pattern));
    expect(changed?.dynamodb.NewImage[ENTITY_ATTRIBUTE].S).toEqual(entities);
  });

  test('executions that end without success are settled, but not those of other machines', () => {
    const rule = resourcesOf(template, 'AWS::Events::Rule').find((one) => one.Properties.EventPattern);
    const machines = resourcesOf(template, 'AWS::StepFunctions::StateMachine').filter(
      // This machine runs no operation. The operations that it starts end independently.
      (machine) => !pathOf(machine).includes('/ConversionByRule/'),
    );
    expect(rule?.Properties.EventPattern).toEqual({
      source: ['aws.states'],
      'detail-type': ['Step Functions Execution Status Change'],
      detail: {
        status: ['ABORTED', 'TIMED_OUT', 'FAILED'],
        stateMachineArn: machines.map(({ logicalId }) => ({ Ref: logicalId })),
      },
    });
    expect(JSON.stringify(rule?.Properties.Targets)).toContain(functionCalled('settle-operation')?.logicalId);
  });

  test('the sweep runs every minute', () => {
    const rule = resourcesOf(template, 'AWS::Events::Rule').find((one) => one.Properties.ScheduleExpression);
    expect(rule?.Properties.ScheduleExpression).toBe('rate(1 minute)');
    expect(JSON.stringify(rule?.Properties.Targets)).toContain(functionCalled('sweep')?.logicalId);
  });

  test('queues are encrypted, and refuse plain HTTP', () => {
    const queues = resourcesOf(template, 'AWS::SQS::Queue');
    expect(queues).toHaveLength(1);
    for (const queue of queues) expect(queue.Properties.SqsManagedSseEnabled).toBe(true);
    expect(JSON.stringify(resourcesOf(template, 'AWS::SQS::QueuePolicy'))).toContain('aws:SecureTransport');
    expect(resourcesOf(template, 'AWS::SQS::QueuePolicy')).toHaveLength(1);
  });
});

test('machines log only errors, without data, and are traced', () => {
  for (const machine of resourcesOf(template, 'AWS::StepFunctions::StateMachine')) {
    expect(machine.Properties).toMatchObject({
      StateMachineType: 'STANDARD',
      TracingConfiguration: { Enabled: true },
      LoggingConfiguration: { IncludeExecutionData: false, Level: 'ERROR' },
    });
  }
});

test('has its addresses as outputs', () => {
  expect(Object.keys(template.Outputs).sort()).toEqual([
    'ApiUrl',
    'ConversionStateMachineArn',
    'EventBusName',
    'TableName',
    'WebSocketUrl',
  ]);
});
