import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { DescribeExecutionCommand, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { afterAll, afterEach, expect, jest, test } from '@jest/globals';
import { type Cloud, type CloudOptions, startCloud } from '../../../local/cloud.ts';
import { EngineStartError } from '../../../local/errors.ts';
import { startEngine } from '../../helpers/dynoxide.ts';
import {
  functionResource,
  removeTemporaryDirectories,
  soon,
  temporaryDirectory,
  writeAssembly,
} from '../../helpers/local-fixtures.ts';
import { signedFetch, signedHeaders } from '../../helpers/sign-request.ts';

// `soon` limits waits, so the tests need no time limit.
jest.setTimeout(60_000);

type Access = Pick<Cloud, 'endpoints' | 'credentials'>;
const region = 'us-east-1';
const clouds: Cloud[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const cloud of clouds.splice(0)) await cloud.stop();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(removeTemporaryDirectories);

/** Appends each delivered record to a file, and fails for records with `poison`. */
const recorder = `import { appendFileSync } from 'node:fs';
export const handler = async (event) => {
  const batchItemFailures = [];
  for (const record of event.Records) {
    const { Keys, NewImage, SequenceNumber } = record.dynamodb;
    if (NewImage?.poison) { batchItemFailures.push({ itemIdentifier: SequenceNumber }); continue; }
    const line = { key: Keys.pk.S, n: Number(NewImage?.n?.N ?? 0), sequence: SequenceNumber, who: record.userIdentity, event: record.eventName };
    appendFileSync(process.env.OUT, JSON.stringify(line) + '\\n');
  }
  return { batchItemFailures };
};`;

/** Writes an item with the endpoint and credentials in its environment, like the SDK. */
const writer = `export const handler = async (event) => {
  const { DynamoDBClient, PutItemCommand } = (await import(process.env.SDK)).default;
  const Item = { pk: { S: event.key }, n: { N: '1' } };
  await new DynamoDBClient({ maxAttempts: 1 }).send(new PutItemCommand({ TableName: process.env.TABLE_NAME, Item }));
  return { written: event.key };
};`;
const SDK = import.meta.resolve('@aws-sdk/client-dynamodb');

const table = {
  Type: 'AWS::DynamoDB::Table',
  Properties: {
    TableName: 'items',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [
      { AttributeName: 'pk', AttributeType: 'S' },
      { AttributeName: 'owner', AttributeType: 'S' },
    ],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'by-owner',
        KeySchema: [{ AttributeName: 'owner', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['n'] },
      },
    ],
    StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
    TimeToLiveSpecification: { AttributeName: 'expires', Enabled: true },
  },
};

const definition = JSON.stringify({
  QueryLanguage: 'JSONata',
  StartAt: 'Write',
  States: {
    Write: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Arguments: { FunctionName: 'FUNCTION', Payload: { key: '{% $states.input.key %}' } },
      Output: '{% $states.result.Payload %}',
      End: true,
    },
  },
}).split('FUNCTION');

/** Rule → state machine → function → table → stream → function; failed records go to a queue. */
const assembly = (out: string, tableProperties: Record<string, unknown> = {}) =>
  writeAssembly({
    functions: { recorder, writer },
    resources: {
      Table: { ...table, Properties: { ...table.Properties, ...tableProperties } },
      Dead: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'dead' } },
      Writer: functionResource('writer', {
        Environment: { Variables: { TABLE_NAME: { Ref: 'Table' }, SDK } },
      }),
      Recorder: functionResource('recorder', { Environment: { Variables: { OUT: out } } }),
      Changes: {
        Type: 'AWS::Lambda::EventSourceMapping',
        Properties: {
          EventSourceArn: { 'Fn::GetAtt': ['Table', 'StreamArn'] },
          FunctionName: { Ref: 'Recorder' },
          StartingPosition: 'TRIM_HORIZON',
          BatchSize: 10,
          BisectBatchOnFunctionError: true,
          MaximumRetryAttempts: 1,
          FunctionResponseTypes: ['ReportBatchItemFailures'],
          DestinationConfig: { OnFailure: { Destination: { 'Fn::GetAtt': ['Dead', 'Arn'] } } },
        },
      },
      Machine: {
        Type: 'AWS::StepFunctions::StateMachine',
        Properties: {
          DefinitionString: {
            'Fn::Join': ['', [definition[0], { 'Fn::GetAtt': ['Writer', 'Arn'] }, definition[1]]],
          },
        },
      },
      Rule: {
        Type: 'AWS::Events::Rule',
        Properties: {
          EventPattern: { source: ['test'] },
          State: 'ENABLED',
          Targets: [{ Id: 'M', Arn: { Ref: 'Machine' }, InputPath: '$.detail' }],
        },
      },
    },
    outputs: { Machine: { Value: { Ref: 'Machine' } }, Dead: { Value: { Ref: 'Dead' } } },
  });

const start = async (
  assemblyDir: string,
  stateDir: string,
  more: Partial<CloudOptions> = {},
): Promise<Cloud> => {
  const cloud = await startCloud({ assemblyDir, stateDir, ...more });
  clouds.push(cloud);
  return cloud;
};
const stop = async (cloud: Cloud): Promise<void> => {
  clouds.splice(clouds.indexOf(cloud), 1);
  await cloud.stop();
};

interface Line {
  readonly key: string;
  readonly n: number;
  readonly sequence: string;
  readonly who?: { readonly type: string; readonly principalId: string };
  readonly event: string;
}
const linesOf = (file: string): Line[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Line)
    : [];
const seen = (file: string, key: string): Promise<Line | undefined> =>
  soon(() => linesOf(file).find((line) => line.key === key));

const dynamo = ({ endpoints, credentials }: Access) =>
  new DynamoDBClient({ endpoint: endpoints.dynamodb, region, credentials, maxAttempts: 10 });
const put = (
  client: DynamoDBClient,
  pk: string,
  n = 0,
  more: Record<string, { S: string } | { N: string } | { BOOL: boolean }> = {},
) =>
  client.send(
    new PutItemCommand({ TableName: 'items', Item: { pk: { S: pk }, n: { N: String(n) }, ...more } }),
  );

const sqs = async (cloud: Cloud, operation: string, input: object) => {
  const response = await signedFetch(cloud, cloud.endpoints.sqs, {
    service: 'sqs',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `AmazonSQS.${operation}` },
    body: JSON.stringify(input),
  });
  return (await response.json()) as { Messages?: { Body: string }[] };
};

test('an event passes through rule, state machine, function, table and stream', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const events = new EventBridgeClient({
    endpoint: cloud.endpoints.events,
    region,
    credentials: cloud.credentials,
  });
  await events.send(
    new PutEventsCommand({ Entries: [{ Source: 'test', DetailType: 't', Detail: '{"key":"from-event"}' }] }),
  );
  expect(await seen(out, 'from-event')).toMatchObject({ n: 1, event: 'INSERT' });

  const states = new SFNClient({
    endpoint: cloud.endpoints.states,
    region,
    credentials: cloud.credentials,
  });
  const stateMachineArn = String(cloud.outputs.Machine);
  const { executionArn } = await states.send(
    new StartExecutionCommand({ stateMachineArn, input: '{"key":"direct"}' }),
  );
  const ended = await soon(async () => {
    const described = await states.send(new DescribeExecutionCommand({ executionArn }));
    return described.status === 'RUNNING' ? undefined : described;
  });
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: '{"written":"direct"}' });
  await expect(
    states.send(new DescribeExecutionCommand({ executionArn: `${executionArn}x` })),
  ).rejects.toThrow(/does not exist/i);
  for (const client of [events, states]) client.destroy();
});

test('a poisoned record goes to the queue, and the other records are processed in order', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const client = dynamo(cloud);
  for (let n = 0; n < 30; n += 1)
    await put(client, `k${n % 3}`, n, n === 11 ? { poison: { BOOL: true } } : {});
  await put(client, 'last');
  await seen(out, 'last');
  const numbers = linesOf(out)
    .filter((line) => line.key !== 'last')
    .map((line) => line.n);
  expect([...new Set(numbers)]).toEqual(Array.from({ length: 30 }, (_, n) => n).filter((n) => n !== 11));
  const { Messages } = await sqs(cloud, 'ReceiveMessage', {
    QueueUrl: cloud.outputs.Dead,
    WaitTimeSeconds: 10,
  });
  const [dead] = (Messages ?? []).map((message) => JSON.parse(message.Body));
  expect(dead).toMatchObject({
    requestContext: { condition: 'RetryAttemptsExhausted' },
    DDBStreamBatchInfo: { batchSize: 1 },
  });
  client.destroy();
});

test('a sweep deletes expired items, and their stream records name DynamoDB as the actor', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const client = dynamo(cloud);
  await put(client, 'old', 0, { expires: { N: String(Math.floor(Date.now() / 1000) - 60) } });
  await cloud.expireItems();
  const removed = await soon(() => linesOf(out).find((line) => line.event === 'REMOVE'));
  expect(removed).toMatchObject({
    key: 'old',
    who: { type: 'Service', principalId: 'dynamodb.amazonaws.com' },
  });
  client.destroy();
});

test('if the DynamoDB process is killed, it is restarted with all written data', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const client = dynamo(cloud);
  await put(client, 'before');
  const killed = cloud.dynamoDbProcessId() ?? 0;
  process.kill(killed, 'SIGKILL');
  await soon(() => (cloud.dynamoDbProcessId() === killed ? undefined : true));
  const after = await soon(() => put(client, 'after').catch(() => undefined));
  expect(after).toBeDefined();
  const { Item } = await client.send(
    new GetItemCommand({ TableName: 'items', Key: { pk: { S: 'before' } } }),
  );
  expect(Item?.pk).toEqual({ S: 'before' });
  expect(await seen(out, 'after')).toBeDefined();
  client.destroy();
});

const runInChild = async (assemblyDir: string, stateDir: string) => {
  const script = join(import.meta.dirname, '../../helpers/run-cloud.ts');
  const child = spawn(process.execPath, ['--no-warnings', script, assemblyDir, stateDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  children.push(child);
  const line = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (data: Buffer) => resolve(data.toString())),
  );
  return { child, ...(JSON.parse(line) as Access & { dynamoDb: number }) };
};

test('after all processes are killed, each record is delivered at least once and in order, and no process is left', async () => {
  const out = join(temporaryDirectory(), 'out');
  const [assemblyDir, stateDir] = [assembly(out), temporaryDirectory()];
  let written = 0;
  for (let round = 0; round < 3; round += 1) {
    const { child, dynamoDb, ...access } = await runInChild(assemblyDir, stateDir);
    const client = dynamo(access);
    for (let n = 0; n < 40; n += 1) {
      await put(client, 'one', written);
      written += 1;
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(await soon(() => (existsSync(`/proc/${dynamoDb}`) ? undefined : true))).toBe(true);
    client.destroy();
  }
  const cloud = await start(assemblyDir, stateDir);
  const client = dynamo(cloud);
  await put(client, 'last');
  await seen(out, 'last');
  const numbers = linesOf(out)
    .filter((line) => line.key === 'one')
    .map((line) => line.n);
  expect([...new Set(numbers)]).toEqual(Array.from({ length: written }, (_, n) => n));
  client.destroy();
});

test('processed records are not delivered again after a restart', async () => {
  const out = join(temporaryDirectory(), 'out');
  const [assemblyDir, stateDir] = [assembly(out), temporaryDirectory()];
  const first = await start(assemblyDir, stateDir);
  const client = dynamo(first);
  await put(client, 'a');
  await seen(out, 'a');
  client.destroy();
  await stop(first);
  const second = await start(assemblyDir, stateDir);
  const again = dynamo(second);
  await put(again, 'b');
  await seen(out, 'b');
  expect(linesOf(out).map((line) => line.key)).toEqual(['a', 'b']);
  again.destroy();
});

test('chaos repeats batches and never changes their order', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory(), {
    chaos: { duplicate: 1, reorder: 1, seed: 3 },
  });
  const client = dynamo(cloud);
  for (let n = 0; n < 20; n += 1) await put(client, 'one', n);
  await put(client, 'last');
  await soon(() => (linesOf(out).filter((line) => line.key === 'last').length === 2 ? true : undefined));
  const numbers = linesOf(out)
    .filter((line) => line.key === 'one')
    .map((line) => line.n);
  expect(numbers).toHaveLength(40);
  expect([...new Set(numbers)]).toEqual(Array.from({ length: 20 }, (_, n) => n));
  client.destroy();
});

test('indexes are added to and removed from an existing table; another key is refused with a suggestion', async () => {
  const out = join(temporaryDirectory(), 'out');
  const stateDir = temporaryDirectory();
  const without = {
    GlobalSecondaryIndexes: [],
    AttributeDefinitions: table.Properties.AttributeDefinitions.slice(0, 1),
  };
  await stop(await start(assembly(out, without), stateDir));
  await stop(await start(assembly(out), stateDir));
  await stop(await start(assembly(out, without), stateDir));
  const otherKey = {
    ...without,
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
  };
  await expect(start(assembly(out, otherKey), stateDir)).rejects.toThrow(/key schema.*--reset/);
});

test('a state directory is used by one process at a time', async () => {
  const out = join(temporaryDirectory(), 'out');
  const [assemblyDir, stateDir] = [assembly(out), temporaryDirectory()];
  await start(assemblyDir, stateDir);
  await expect(start(assemblyDir, stateDir)).rejects.toThrow(EngineStartError);
});

test('the loopback server invokes functions as Lambda does', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const url = `${cloud.endpoints.lambda}/2015-03-31/functions/writer/invocations`;
  const invoke = (body: string, headers = {}, to = url) =>
    signedFetch(cloud, to, { service: 'lambda', body, headers });
  const answer = await invoke('{"key":"by-rest"}');
  expect([answer.status, await answer.json()]).toEqual([200, { written: 'by-rest' }]);
  const event = await invoke('{"key":"by-event"}', { 'x-amz-invocation-type': 'Event' });
  expect(event.status).toBe(202);
  expect(await seen(out, 'by-event')).toBeDefined();
  const failed = await invoke('{}');
  expect([failed.status, failed.headers.get('x-amz-function-error')]).toEqual([200, 'Unhandled']);
  const missing = await invoke('{}', {}, url.replace('writer', 'nobody'));
  expect([missing.status, missing.headers.get('x-amzn-errortype')]).toEqual([
    404,
    'ResourceNotFoundException',
  ]);
});

test('every endpoint requires the credentials of the state directory and refuses web pages', async () => {
  const out = join(temporaryDirectory(), 'out');
  const stateDir = temporaryDirectory();
  const cloud = await start(assembly(out), stateDir);
  const { credentials, endpoints } = cloud;
  expect(statSync(join(stateDir, 'credentials.json')).mode & 0o777).toBe(0o600);
  const targets: [service: string, url: string, target: string][] = [
    ['dynamodb', endpoints.dynamodb, 'DynamoDB_20120810.ListTables'],
    ['dynamodb', endpoints.dynamodb, 'DynamoDBStreams_20120810.ListStreams'],
    ['states', endpoints.states, 'AWSStepFunctions.ListStateMachines'],
    ['events', endpoints.events, 'AWSEvents.ListRules'],
    ['sqs', endpoints.sqs, 'AmazonSQS.ListQueues'],
    ['secretsmanager', endpoints.secrets, 'secretsmanager.GetSecretValue'],
    ['lambda', `${endpoints.lambda}/2015-03-31/functions/writer/invocations`, ''],
  ];
  for (const [service, url, target] of targets) {
    const body = '{}';
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target };
    const unsigned = { service, headers, body };
    const errorOf = async (response: Response) =>
      [response.status, ((await response.json()) as { __type?: string }).__type] as const;
    expect(await errorOf(await fetch(url, { method: 'POST', headers, body }))).toEqual([
      403,
      'MissingAuthenticationTokenException',
    ]);
    const guessed = { region, credentials: { ...credentials, secretAccessKey: 'guessed' } };
    expect(await errorOf(await signedFetch(guessed, url, unsigned))).toEqual([
      403,
      'InvalidSignatureException',
    ]);
    const signed = await signedHeaders(cloud, url, unsigned);
    const changed = await fetch(url, { method: 'POST', headers: signed, body: '{"changed":true}' });
    expect((await errorOf(changed))[1]).toBe('InvalidSignatureException');
    for (const [name, value] of [
      ['origin', 'http://localhost:3000'],
      ['sec-fetch-site', 'cross-site'],
    ] as const)
      expect(await statusOf(url, { ...signed, [name]: value }, body)).toBe(403);
    // A page with a host name that resolves to this machine (DNS rebinding).
    const rebound = await signedHeaders(cloud, url.replace('127.0.0.1', 'attacker.example'), unsigned);
    expect(await statusOf(url, rebound, body)).toBe(403);
    expect(await statusOf(url, signed, body)).not.toBe(403);
  }
});

/** Like a browser, with headers that `fetch` would set itself. */
const statusOf = (url: string, headers: Record<string, string>, body: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request(url, { method: 'POST', headers }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end(body);
  });

test('another DynamoDB endpoint can be used, and its streams are polled', async () => {
  const out = join(temporaryDirectory(), 'out');
  const elsewhere = await startEngine();
  try {
    const dynamoDbEndpoint = elsewhere.endpoint;
    const cloud = await start(assembly(out), temporaryDirectory(), {
      overrides: { dynamoDbEndpoint },
    });
    expect([cloud.endpoints.dynamodb, cloud.dynamoDbProcessId()]).toEqual([dynamoDbEndpoint, undefined]);
    const client = dynamo(cloud);
    await put(client, 'polled');
    expect(await seen(out, 'polled')).toBeDefined();
    client.destroy();
    await stop(cloud);
  } finally {
    elsewhere.stop();
  }
});

test('records that are too large for one invocation are delivered in several', async () => {
  const out = join(temporaryDirectory(), 'out');
  const cloud = await start(assembly(out), temporaryDirectory());
  const client = dynamo(cloud);
  const filler = { S: 'x'.repeat(390_000) };
  await Promise.all(Array.from({ length: 14 }, (_, n) => put(client, 'big', n, { filler })));
  await put(client, 'last');
  await seen(out, 'last');
  expect(
    new Set(
      linesOf(out)
        .filter((line) => line.key === 'big')
        .map((line) => line.n),
    ).size,
  ).toBe(14);
  client.destroy();
});
