import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FUNCTION, Harness, machineArn } from './harness.ts';

const WAIT = { StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 10, End: true } } };
const PASS = { StartAt: 'P', States: { P: { Type: 'Pass', End: true } } };

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

describe('StartExecution', () => {
  const start = async (input: string, name = 'op-1') =>
    (await harness.call('StartExecution', { stateMachineArn: machineArn('machine'), name, input })).body;

  test('with the same name and input returns the running execution', async () => {
    harness.define(WAIT);
    const [first, second] = await Promise.all([start('{"a":1,"b":2}'), start('{ "b": 2, "a": 1 }')]);
    expect(first.executionArn).toBe(`arn:aws:states:eu-west-1:111111111111:execution:machine:op-1`);
    expect(second).toEqual(first);
    expect((await start('{"a":2}')).__type).toBe('ExecutionAlreadyExists');
    await harness.settle();
    await harness.pass(10);
    expect((await start('{"a":1,"b":2}')).__type).toBe('ExecutionAlreadyExists');
    expect(harness.service.counters.executionsStarted).toBe(1);
  });

  test.each([
    ['{', 'op', 'InvalidExecutionInput'],
    ['{}', 'a b', 'InvalidName'],
    ['{}', 'x'.repeat(81), 'InvalidName'],
  ])('refuses input %s and name %s', async (input, name, code) => {
    harness.define(PASS);
    expect((await start(input, name)).__type).toBe(code);
  });

  test('refuses an unknown state machine', async () => {
    expect((await start('{}')).__type).toBe('StateMachineDoesNotExist');
  });
});

describe('StopExecution', () => {
  test('aborts the execution, cancels its work and invalidates its tokens', async () => {
    harness.define({
      StartAt: 'T',
      States: {
        T: {
          Type: 'Task',
          Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
          Parameters: { FunctionName: FUNCTION, Payload: { 't.$': '$$.Task.Token' } },
          End: true,
        },
      },
    });
    harness.lambda = () => new Promise(() => undefined);
    const arn = await harness.start();
    const stopped = await harness.call('StopExecution', {
      executionArn: arn,
      error: 'Operator',
      cause: 'no more',
    });
    expect(stopped.body).toHaveProperty('stopDate');
    expect(await harness.describe(arn)).toMatchObject({
      status: 'ABORTED',
      error: 'Operator',
      cause: 'no more',
    });
    expect(harness.invocations[0]?.signal.aborted).toBe(true);
    const { t: taskToken } = harness.payload();
    expect((await harness.call('SendTaskSuccess', { taskToken, output: '1' })).body.__type).toBe(
      'TaskTimedOut',
    );
    expect((await harness.call('StopExecution', { executionArn: arn })).status).toBe(200);
    expect((await harness.describe(arn)).error).toBe('Operator');
  });
});

describe('lists and pages', () => {
  test('executions are listed by status, newest first', async () => {
    harness.define(PASS);
    for (let i = 0; i < 5; i++) await harness.start({}, { name: `e${i}` });
    harness.define(WAIT);
    await harness.start({}, { name: 'open' });
    const list = async (query: object) =>
      (await harness.call('ListExecutions', { stateMachineArn: machineArn('machine'), ...query })).body;
    const names = (body: Record<string, unknown>) =>
      (body.executions as { name: string }[]).map((e) => e.name);
    const first = await list({ maxResults: 4 });
    expect(names(first)).toEqual(['open', 'e4', 'e3', 'e2']);
    const second = await list({ maxResults: 4, nextToken: first.nextToken });
    expect(names(second)).toEqual(['e1', 'e0']);
    expect(second).not.toHaveProperty('nextToken');
    expect(names(await list({ statusFilter: 'RUNNING' }))).toEqual(['open']);
  });

  test('a history is listed in both orders, with and without data', async () => {
    harness.define(PASS);
    const arn = await harness.start({ secret: 1 });
    const page = async (query: object) => {
      const { body } = await harness.call('GetExecutionHistory', { executionArn: arn, ...query });
      return body as { events: Record<string, unknown>[]; nextToken?: string };
    };
    const all = await page({});
    expect(all.events.map((e) => [e.id, e.previousEventId, e.type])).toEqual([
      [1, 0, 'ExecutionStarted'],
      [2, 0, 'PassStateEntered'],
      [3, 2, 'PassStateExited'],
      [4, 3, 'ExecutionSucceeded'],
    ]);
    const back = await page({ reverseOrder: true, maxResults: 3 });
    expect(back.events.map((e) => e.id)).toEqual([4, 3, 2]);
    expect((await page({ reverseOrder: true, nextToken: back.nextToken })).events.map((e) => e.id)).toEqual([
      1,
    ]);
    expect(JSON.stringify(await page({ includeExecutionData: false }))).not.toContain('secret');
  });

  test('state machines are listed', async () => {
    harness.define(PASS, 'b');
    harness.define(PASS, 'a');
    const { body } = await harness.call('ListStateMachines', {});
    expect((body.stateMachines as { name: string }[]).map((m) => m.name)).toEqual(['a', 'b']);
    const described = await harness.call('DescribeStateMachine', { stateMachineArn: machineArn('a') });
    expect(described.body).toMatchObject({ name: 'a', type: 'STANDARD', definition: JSON.stringify(PASS) });
  });

  test('an execution keeps the definition from its start if its state machine changes', async () => {
    harness.define(WAIT);
    const arn = await harness.start();
    harness.define(PASS);
    const { body } = await harness.call('DescribeStateMachineForExecution', { executionArn: arn });
    expect(body.definition).toBe(JSON.stringify(WAIT));
    expect((await harness.describe(arn)).status).toBe('RUNNING');
  });
});

test('an unknown operation is refused by name', async () => {
  for (const name of ['StartSyncExecution', 'CreateActivity', 'toString']) {
    const answer = await harness.call(name, {});
    expect(answer.body).toMatchObject({
      __type: 'UnknownOperationException',
      message: expect.stringContaining(name),
    });
  }
});

test('ValidateStateMachineDefinition returns errors with their locations', async () => {
  const validate = async (definition: object) =>
    (await harness.call('ValidateStateMachineDefinition', { definition: JSON.stringify(definition) })).body;
  expect(await validate(PASS)).toMatchObject({ result: 'OK' });
  expect(await validate({ ...PASS, Odd: 1 })).toMatchObject({
    result: 'FAIL',
    diagnostics: [{ location: '/Odd' }],
  });
});

describe('status changes', () => {
  test('are published at the start and at the end, in EventBridge’s form', async () => {
    harness.define(PASS);
    const arn = await harness.start({ a: 1 }, { name: 'op' });
    expect(harness.statusChanges.map((event) => event.detail.status)).toEqual(['RUNNING', 'SUCCEEDED']);
    expect(harness.statusChanges[1]).toMatchObject({
      source: 'aws.states',
      'detail-type': 'Step Functions Execution Status Change',
      resources: [arn],
      detail: {
        executionArn: arn,
        name: 'op',
        input: '{"a":1}',
        output: '{"a":1}',
        stateMachineArn: machineArn('machine'),
      },
    });
  });

  test('are repeated until they are accepted', async () => {
    await harness.close();
    let refusals = 3;
    const taken: string[] = [];
    harness = new Harness({
      onStatusChange: async (event) => {
        if (refusals-- > 0) throw new Error('not now');
        taken.push(String(event.detail.status));
      },
    });
    harness.define(PASS);
    await harness.start();
    expect(harness.service.counters.pendingStatusChanges).toBe(2);
    for (let i = 0; i < 4; i++) await harness.pass(30);
    expect(taken.sort()).toEqual(['RUNNING', 'SUCCEEDED']);
    expect(harness.service.counters.pendingStatusChanges).toBe(0);
  });
});

test('ended executions are deleted after some time, except their names', async () => {
  await harness.close();
  harness = new Harness({ retainClosedMs: 60_000 });
  await harness.service.resume();
  harness.define(PASS);
  const arn = await harness.start({}, { name: 'once' });
  await harness.pass(3599);
  expect((await harness.describe(arn)).status).toBe('SUCCEEDED');
  await harness.pass(1);
  expect((await harness.call('DescribeExecution', { executionArn: arn })).body.__type).toBe(
    'ExecutionDoesNotExist',
  );
  await expect(harness.start({}, { name: 'once' })).rejects.toThrow('ExecutionAlreadyExists');
});

test('an execution that never ends fails at its limit of events', async () => {
  harness.define({
    StartAt: 'A',
    States: { A: { Type: 'Pass', Next: 'B' }, B: { Type: 'Pass', Next: 'A' }, C: { Type: 'Succeed' } },
  });
  const arn = await harness.start();
  for (let i = 0; i < 200 && (await harness.describe(arn)).status === 'RUNNING'; i++) await harness.settle();
  expect(await harness.describe(arn)).toMatchObject({
    status: 'FAILED',
    error: 'States.Runtime',
    cause: 'The execution reached the maximum number of history events (25000).',
  });
});
