import { describe, expect, test } from '@jest/globals';
import { FUNCTION_NAMES, FUNCTION_SPECS } from '../../lib/function-specs.ts';
import { pathOf, resourcesOf, templateOf } from './helpers/synthesized.ts';

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource?: unknown;
}

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value as T];

const template = templateOf({});

/** Every statement that allows something to a role of the stack, with the construct path. */
const statements = ['AWS::IAM::Role', 'AWS::IAM::Policy'].flatMap((type) =>
  resourcesOf(template, type).flatMap((resource) => {
    const { Policies, PolicyDocument } = resource.Properties as {
      Policies?: { PolicyDocument: { Statement: Statement[] } }[];
      PolicyDocument?: { Statement: Statement[] };
    };
    const documents = [...listOf(Policies).map((one) => one.PolicyDocument), ...listOf(PolicyDocument)];
    return documents
      .flatMap((document) => document.Statement)
      .map((statement) => ({ path: pathOf(resource), ...statement }));
  }),
);

const actionsOf = (functionName: string): string[] =>
  statements
    .filter(({ path }) => path.includes(`/Functions/${functionName}/`))
    .flatMap(({ Action }) => listOf(Action))
    .sort();

/** Actions that IAM can't restrict to a resource: the service has no resource type for them. */
const WITHOUT_RESOURCE_TYPE = new Set([
  'dynamodb:ListStreams',
  'events:TestEventPattern',
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
  'xray:GetSamplingRules',
  'xray:GetSamplingTargets',
  'logs:CreateLogDelivery',
  'logs:GetLogDelivery',
  'logs:UpdateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:DescribeResourcePolicies',
  'logs:DescribeLogGroups',
]);

test('the template has statements to check', () => {
  expect(statements.length).toBeGreaterThan(FUNCTION_NAMES.length);
});

test('no action is a wildcard', () => {
  expect(statements.filter(({ Action }) => listOf(Action).some((one) => one.includes('*')))).toEqual([]);
});

test('only actions without a resource type have a wildcard as the resource', () => {
  const tooWide = statements
    .filter(({ Resource }) => listOf(Resource).includes('*'))
    .flatMap(({ Action }) => listOf(Action))
    .filter((action) => !WITHOUT_RESOURCE_TYPE.has(action));
  expect(tooWide).toEqual([]);
});

/** Actions on the bus rules of conversion rules, whose names have a common prefix. */
const MANAGES_RULES = ['PutRule', 'DeleteRule', 'PutTargets', 'RemoveTargets', 'TestEventPattern'];

test('only the function that manages rules can pass a role, only that role, and only to EventBridge', () => {
  const passing = statements.filter(({ Action }) => listOf(Action).includes('iam:PassRole'));
  expect(passing.map(({ path }) => path)).toEqual([
    expect.stringContaining('/Functions/conversion-rules/Role/'),
  ]);
  expect(passing[0]).toMatchObject({
    Resource: { 'Fn::GetAtt': [expect.stringContaining('EventsRole'), 'Arn'] },
    Condition: { StringEquals: { 'iam:PassedToService': 'events.amazonaws.com' } },
  });
});

test('the only other wildcards are for connection ids and for the bus rules of conversion rules', () => {
  const wild = statements
    .flatMap(({ Resource }) => listOf(Resource))
    .map((resource) => JSON.stringify(resource))
    .filter((resource) => resource.includes('*') && resource !== '"*"');
  const allowed = /(\/v1\/(POST|DELETE)\/@connections\/|\/bulkhead-conversion-)\*"\]\]\}$/;
  expect(wild.filter((resource) => !allowed.test(resource))).toEqual([]);
});

test('no function can scan or delete the table', () => {
  const actions = statements.flatMap(({ Action }) => listOf(Action));
  expect(actions.filter((action) => /^dynamodb:(Scan|PartiQL|DeleteTable|Export)/.test(action))).toEqual([]);
});

const READERS = {
  /** These functions sign commands, except `host-enrollment`, which sends an enrolling host the trusted keys. */
  Signing: [
    'control-container',
    'create-container',
    'dispatch-command',
    'host-enrollment',
    'host-message',
    'images',
    'list-processes',
    'sessions',
    'update-container',
  ],
  /** These functions create session tokens, except `authorize-host`, which verifies them. */
  Sessions: ['authorize-host', 'session-frame', 'sessions'],
};

test.each(Object.entries(READERS))(
  'only the functions that use the secret %s may read it',
  (name, readers) => {
    const reading = statements.filter(({ Resource }) => JSON.stringify(Resource).includes(`Secrets${name}`));
    expect(reading.map(({ path }) => /\/Functions\/([^/]+)\//.exec(path)?.[1]).sort()).toEqual(readers);
    for (const { Action } of reading) expect(Action).toBe('secretsmanager:GetSecretValue');
  },
);

test('no statement allows anything else on secrets', () => {
  const all = statements.flatMap(({ Action }) => listOf(Action)).filter((one) => one.startsWith('secrets'));
  expect(all).toHaveLength(Object.values(READERS).flat().length);
});

test('only roles that API Gateway itself uses have managed policies', () => {
  const managed = resourcesOf(template, 'AWS::IAM::Role').filter((role) => role.Properties.ManagedPolicyArns);
  expect(managed.map(pathOf)).toEqual(['Bulkhead/ControlPlane/HostLink/ApiGatewayLogRole/Resource']);
});

describe.each(FUNCTION_NAMES)('%s', (name) => {
  const spec = FUNCTION_SPECS[name];

  test('has exactly the permissions of its spec on the table', () => {
    const granted = actionsOf(name).filter((action) =>
      /^dynamodb:(?!.*Stream|GetRecords|GetShard)/.test(action),
    );
    const expected = [...spec.table, ...(spec.indexes.length > 0 ? ['Query'] : [])];
    expect(granted).toEqual(expected.map((action) => `dynamodb:${action}`).sort());
  });

  test('has exactly the permissions of its spec on hosts, machines and the bus', () => {
    const granted = actionsOf(name).filter((action) => /^(execute-api|states|events):/.test(action));
    const expected = [
      ...spec.connections.map(() => 'execute-api:ManageConnections'),
      ...(spec.publishesEvents ? ['events:PutEvents'] : []),
      ...(spec.managesRules ? MANAGES_RULES.map((action) => `events:${action}`) : []),
      ...(spec.starts.length > 0 ? ['states:StartExecution'] : []),
      ...spec.answersTasks.map((answer) => `states:${answer}`),
    ];
    expect(granted).toEqual(expected.sort());
  });

  test('queries exactly the indexes of its spec, each by name', () => {
    const indexes = statements
      .filter(({ path }) => path.includes(`/Functions/${name}/`))
      .flatMap(({ Resource }) => listOf(Resource))
      .flatMap((resource) => /\/index\/(\w+)/.exec(JSON.stringify(resource))?.[1] ?? []);
    expect(indexes.sort()).toEqual([...spec.indexes].sort());
  });
});
