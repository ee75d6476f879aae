import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FUNCTION, Harness, machineArn } from './harness.ts';

let directory: string;
let harness: Harness;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'states-restart-'));
  harness = new Harness({ databaseFile: join(directory, 'states.sqlite') });
});
afterEach(async () => {
  await harness.close();
  rmSync(directory, { recursive: true, force: true });
});

const begin = async (definition: object, input: unknown = {}) => {
  harness.define(definition);
  return harness.start(input);
};

test('a Wait ends at its original time, even if that has passed', async () => {
  const definition = { StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 100, End: true } } };
  const arn = await begin(definition);
  await harness.pass(60);
  await harness.restart(definition);
  await harness.pass(39);
  expect((await harness.describe(arn)).status).toBe('RUNNING');
  await harness.pass(1);
  expect((await harness.describe(arn)).status).toBe('SUCCEEDED');
});

test('a token keeps its heartbeat, and its function is not invoked again after it has returned', async () => {
  const definition = {
    StartAt: 'T',
    States: {
      T: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: FUNCTION, Payload: { 't.$': '$$.Task.Token' } },
        HeartbeatSeconds: 30,
        End: true,
      },
    },
  };
  const arn = await begin(definition);
  const other = await harness.start();
  const [first, second] = [harness.payload(0).t, harness.payload(1).t];
  await harness.pass(20);
  await harness.restart(definition);
  expect(harness.invocations).toHaveLength(2);
  expect((await harness.call('SendTaskHeartbeat', { taskToken: first })).status).toBe(200);
  await harness.pass(10);
  expect(await harness.describe(other)).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  expect((await harness.call('SendTaskSuccess', { taskToken: second, output: '1' })).body.__type).toBe(
    'TaskTimedOut',
  );
  await harness.call('SendTaskSuccess', { taskToken: first, output: '{"done":true}' });
  expect(await harness.output(arn)).toEqual({ done: true });
});

test('a task whose result was lost is invoked again', async () => {
  const definition = { StartAt: 'T', States: { T: { Type: 'Task', Resource: FUNCTION, End: true } } };
  harness.lambda = () => new Promise(() => undefined);
  const arn = await begin(definition, { n: 1 });
  harness.lambda = () => 'answer';
  await harness.restart(definition);
  expect(harness.invocations.map((invocation) => invocation.payload)).toEqual([{ n: 1 }, { n: 1 }]);
  expect(await harness.output(arn)).toBe('answer');
});

test('a retry keeps its count and its time', async () => {
  const retry = [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 10, BackoffRate: 1, MaxAttempts: 2 }];
  const definition = {
    StartAt: 'T',
    States: { T: { Type: 'Task', Resource: FUNCTION, Retry: retry, End: true } },
  };
  harness.lambda = () => {
    throw new Error('no');
  };
  const arn = await begin(definition);
  for (let i = 0; i < 2; i++) {
    await harness.restart(definition);
    await harness.pass(10);
  }
  expect(harness.invocations).toHaveLength(3);
  expect(await harness.describe(arn)).toMatchObject({
    status: 'FAILED',
    error: 'Lambda.Unknown',
    cause: 'no',
  });
});

test('a Map continues with the remaining items', async () => {
  const inner = { StartAt: 'I', States: { I: { Type: 'Wait', Seconds: 10, End: true } } };
  const definition = {
    StartAt: 'M',
    States: { M: { Type: 'Map', MaxConcurrency: 1, ItemProcessor: inner, End: true } },
  };
  const arn = await begin(definition, ['a', 'b', 'c']);
  for (let i = 0; i < 3; i++) {
    await harness.restart(definition);
    await harness.pass(10);
  }
  expect(await harness.output(arn)).toEqual(['a', 'b', 'c']);
});

test('a parent gets the end of a child that ended while the process was down', async () => {
  const child = { StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 5, End: true } } };
  const parent = {
    StartAt: 'S',
    States: {
      S: {
        Type: 'Task',
        Resource: 'arn:aws:states:::states:startExecution.sync:2',
        Parameters: { StateMachineArn: machineArn('child') },
        OutputPath: '$.Output',
        End: true,
      },
    },
  };
  harness.define(child, 'child');
  const arn = await begin(parent);
  harness.clock.advance(4000);
  await harness.restart(parent);
  await harness.pass(1);
  expect((await harness.describe(arn)).status).toBe('SUCCEEDED');
});

test('status changes that were not accepted are delivered after a restart', async () => {
  await harness.close();
  let taken: string[] | undefined;
  harness = new Harness({
    databaseFile: join(directory, 'states.sqlite'),
    onStatusChange: async (event) => {
      if (!taken) throw new Error('not now');
      taken.push(String(event.detail.status));
    },
  });
  const definition = { StartAt: 'P', States: { P: { Type: 'Pass', End: true } } };
  await begin(definition);
  taken = [];
  await harness.restart(definition);
  expect(taken.sort()).toEqual(['RUNNING', 'SUCCEEDED']);
  await harness.restart(definition);
  expect(taken).toHaveLength(2);
});
