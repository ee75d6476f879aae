import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { IntegrationError, LambdaInvocationError } from '../../../../local/states/index.ts';
import { FUNCTION, Harness, machineArn } from './harness.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';
const one = (state: object, extra: object = {}) => ({
  StartAt: 'Work',
  States: { Work: { Type: 'Task', End: true, ...state }, Caught: { Type: 'Pass', End: true } },
  ...extra,
});
const withToken = (fields: object = {}) =>
  one({
    Resource: `${INVOKE}.waitForTaskToken`,
    Parameters: { FunctionName: FUNCTION, Payload: { 'token.$': '$$.Task.Token', 'in.$': '$' } },
    ...fields,
  });

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

describe('a Lambda task', () => {
  test('with a function ARN passes the input and returns the output', async () => {
    harness.define(one({ Resource: FUNCTION, ResultPath: '$.result' }));
    harness.lambda = (payload) => ({ got: payload });
    const arn = await harness.start({ n: 1 });
    expect(await harness.output(arn)).toEqual({ n: 1, result: { got: { n: 1 } } });
    expect(await harness.eventTypes(arn)).toEqual([
      'ExecutionStarted',
      'TaskStateEntered',
      'LambdaFunctionScheduled',
      'LambdaFunctionStarted',
      'LambdaFunctionSucceeded',
      'TaskStateExited',
      'ExecutionSucceeded',
    ]);
  });

  test('can use lambda:invoke in JSONata', async () => {
    harness.define(
      one(
        {
          Resource: INVOKE,
          Arguments: { FunctionName: `${FUNCTION}:live`, Payload: { double: '{% $states.input.n * 2 %}' } },
          Output: { v: '{% $states.result.Payload %}', by: '{% $states.result.ExecutedVersion %}' },
          Assign: { seen: '{% $states.result.StatusCode %}' },
        },
        { QueryLanguage: 'JSONata' },
      ),
    );
    harness.lambda = (payload) => payload;
    const arn = await harness.start({ n: 4 });
    expect(await harness.output(arn)).toEqual({ v: { double: 8 }, by: 'live' });
    expect(harness.invocations[0]?.arn).toBe(`${FUNCTION}:live`);
  });

  test('fails with the function’s error type and Lambda’s cause', async () => {
    harness.define(one({ Resource: FUNCTION }));
    harness.lambda = () => {
      throw new LambdaInvocationError({ errorType: 'OutOfRoom', errorMessage: 'full', trace: ['at x'] });
    };
    const described = await harness.describe(await harness.start());
    expect(described.status).toBe('FAILED');
    expect(described.error).toBe('OutOfRoom');
    expect(JSON.parse(described.cause ?? '')).toEqual({
      errorMessage: 'full',
      errorType: 'OutOfRoom',
      trace: ['at x'],
    });
  });

  test('fails if its data exceed the limit of a state', async () => {
    harness.define(one({ Resource: FUNCTION }));
    harness.lambda = () => 'x'.repeat(262_145);
    expect(await harness.describe(await harness.start())).toMatchObject({
      status: 'FAILED',
      error: 'States.DataLimitExceeded',
    });
  });
});

describe('Retry', () => {
  const failing = (retry: object) => {
    harness.define(one({ Resource: FUNCTION, Retry: [{ ErrorEquals: ['States.TaskFailed'], ...retry }] }));
    harness.lambda = () => {
      throw new LambdaInvocationError({ errorType: 'E', errorMessage: 'm' });
    };
  };
  const attemptsAfter = async (seconds: number) => {
    await harness.pass(seconds);
    return harness.invocations.length;
  };

  test('backs off up to its attempts and its maximum delay', async () => {
    failing({ IntervalSeconds: 2, BackoffRate: 3, MaxAttempts: 3, MaxDelaySeconds: 10 });
    const arn = await harness.start();
    expect(harness.invocations).toHaveLength(1);
    expect(await attemptsAfter(1.9)).toBe(1);
    expect(await attemptsAfter(0.1)).toBe(2);
    expect(await attemptsAfter(5.9)).toBe(2);
    expect(await attemptsAfter(0.1)).toBe(3);
    expect(await attemptsAfter(9.9)).toBe(3);
    expect(await attemptsAfter(0.1)).toBe(4);
    expect(await harness.describe(arn)).toMatchObject({ status: 'FAILED', error: 'E' });
    expect(harness.service.transitionsOf(arn)).toBe(4);
  });

  test('with full jitter waits a random part of the delay', async () => {
    failing({ IntervalSeconds: 10, JitterStrategy: 'FULL', MaxAttempts: 1 });
    await harness.start();
    expect(await attemptsAfter(4.9)).toBe(1);
    expect(await attemptsAfter(0.1)).toBe(2);
  });

  test('has its count in the context object, and Catch applies when the attempts are exhausted', async () => {
    harness.define(
      one(
        {
          Resource: INVOKE,
          Arguments: { FunctionName: FUNCTION, Payload: '{% $states.context.State.RetryCount %}' },
          Retry: [{ ErrorEquals: ['E'], MaxAttempts: 1 }],
          Catch: [
            {
              ErrorEquals: ['States.ALL'],
              Next: 'Caught',
              Output: '{% $merge([$states.input, $states.errorOutput]) %}',
              Assign: { why: '{% $states.errorOutput.Error %}' },
            },
          ],
        },
        { QueryLanguage: 'JSONata' },
      ),
    );
    harness.lambda = () => {
      throw new LambdaInvocationError({ errorType: 'E', errorMessage: 'm' });
    };
    const arn = await harness.start({ id: 7 });
    await harness.pass(1);
    expect(harness.invocations.map((invocation) => invocation.payload)).toEqual([0, 1]);
    expect(await harness.output(arn)).toMatchObject({ id: 7, Error: 'E' });
  });
});

describe('a task token', () => {
  const tokenOf = (i = 0) => harness.payload(i).token ?? '';

  test('ends the task with the sent output', async () => {
    harness.define(withToken());
    const arn = await harness.start({ a: 1 });
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    const sent = await harness.call('SendTaskSuccess', { taskToken: tokenOf(), output: '{"ok":true}' });
    expect(sent).toEqual({ status: 200, body: {} });
    expect(await harness.output(arn)).toEqual({ ok: true });
    expect(await harness.eventTypes(arn)).toEqual([
      'ExecutionStarted',
      'TaskStateEntered',
      'TaskScheduled',
      'TaskStarted',
      'TaskSubmitted',
      'TaskSucceeded',
      'TaskStateExited',
      'ExecutionSucceeded',
    ]);
  });

  test('can be answered before the function that got it has returned', async () => {
    harness.define(withToken());
    let finish: (value: unknown) => void = () => undefined;
    harness.lambda = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const arn = await harness.start();
    await harness.call('SendTaskSuccess', { taskToken: tokenOf(), output: '1' });
    finish(null);
    await harness.settle();
    expect(await harness.output(arn)).toBe(1);
  });

  test('fails the task with the sent error', async () => {
    harness.define(withToken({ Catch: [{ ErrorEquals: ['Refused'], Next: 'Caught' }] }));
    const arn = await harness.start();
    await harness.call('SendTaskFailure', { taskToken: tokenOf(), error: 'Refused', cause: 'because' });
    expect(await harness.output(arn)).toEqual({ Error: 'Refused', Cause: 'because' });
  });

  test('returns the errors of AWS', async () => {
    harness.define(withToken());
    const arn = await harness.start();
    const code = async (taskToken: string, output = '1') =>
      (await harness.call('SendTaskSuccess', { taskToken, output })).body.__type;
    const otherToken = Buffer.from(`${machineArn('x')}#1#n`).toString('base64url');
    expect(await code('nonsense')).toBe('InvalidToken');
    expect(await code(otherToken)).toBe('TaskDoesNotExist');
    expect(await code(tokenOf(), '{')).toBe('InvalidOutput');
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    expect(await code(tokenOf())).toBeUndefined();
    expect(await code(tokenOf())).toBe('TaskTimedOut');
  });

  test('accepts only one of several parallel answers', async () => {
    harness.define(withToken());
    const arn = await harness.start();
    const answers = await Promise.all(
      [1, 2, 3].map((n) => harness.call('SendTaskSuccess', { taskToken: tokenOf(), output: String(n) })),
    );
    expect(answers.map((answer) => answer.status)).toEqual([200, 400, 400]);
    expect(await harness.output(arn)).toBe(1);
  });
});

describe('timeouts', () => {
  test('of a task end it, cancel the invocation and can be caught', async () => {
    harness.define(
      one({
        Resource: FUNCTION,
        TimeoutSeconds: 5,
        Catch: [{ ErrorEquals: ['States.Timeout'], Next: 'Caught' }],
      }),
    );
    harness.lambda = () => new Promise(() => undefined);
    const arn = await harness.start();
    await harness.pass(4.9);
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    await harness.pass(0.1);
    expect(await harness.output(arn)).toEqual({ Error: 'States.Timeout' });
    expect(harness.invocations[0]?.signal.aborted).toBe(true);
  });

  test('a missed heartbeat ends the task; each heartbeat extends the time', async () => {
    harness.define(
      withToken({
        TimeoutSeconds: 60,
        HeartbeatSecondsPath: '$.beat',
        Catch: [{ ErrorEquals: ['States.HeartbeatTimeout'], Next: 'Caught' }],
      }),
    );
    const arn = await harness.start({ beat: 10 });
    const { token } = harness.payload();
    for (let i = 0; i < 4; i++) {
      await harness.pass(9);
      expect((await harness.call('SendTaskHeartbeat', { taskToken: token })).status).toBe(200);
    }
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    await harness.pass(10);
    expect(await harness.output(arn)).toEqual({ Error: 'States.Timeout' });
    expect((await harness.call('SendTaskHeartbeat', { taskToken: token })).body.__type).toBe('TaskTimedOut');
  });

  test('heartbeats do not extend the task’s time limit', async () => {
    harness.define(withToken({ TimeoutSeconds: 15, HeartbeatSeconds: 10 }));
    const arn = await harness.start();
    const { token } = harness.payload();
    await harness.pass(9);
    await harness.call('SendTaskHeartbeat', { taskToken: token });
    await harness.pass(6);
    expect(await harness.describe(arn)).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  });

  test('of the execution end it in any state', async () => {
    harness.define(withToken());
    harness.define({ ...withToken(), TimeoutSeconds: 30 }, 'limited');
    const arn = await harness.start({}, { machine: machineArn('limited') });
    await harness.pass(30);
    expect((await harness.describe(arn)).status).toBe('TIMED_OUT');
    expect((await harness.history(arn)).at(-1)).toMatchObject({
      type: 'ExecutionTimedOut',
      executionTimedOutEventDetails: { error: 'States.Timeout' },
    });
  });
});

describe('other integrations', () => {
  const start = (mode: string) =>
    one({
      Resource: `arn:aws:states:::states:startExecution${mode}`,
      Parameters: { StateMachineArn: machineArn('child'), 'Input.$': '$', 'Name.$': '$.name' },
    });

  test('startExecution.sync:2 waits for the child and returns its output', async () => {
    harness.define({ StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 10, End: true } } }, 'child');
    harness.define(start('.sync:2'));
    const arn = await harness.start({ name: 'c1' });
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    await harness.pass(10);
    expect(await harness.output(arn)).toMatchObject({
      Status: 'SUCCEEDED',
      Name: 'c1',
      Output: { name: 'c1' },
    });
  });

  test('startExecution.sync fails with the child', async () => {
    harness.define({ StartAt: 'F', States: { F: { Type: 'Fail', Error: 'Bad' } } }, 'child');
    harness.define(start('.sync'));
    const described = await harness.describe(await harness.start({ name: 'c2' }));
    expect(described).toMatchObject({ status: 'FAILED', error: 'States.TaskFailed' });
    expect(JSON.parse(described.cause ?? '')).toMatchObject({ Status: 'FAILED', Error: 'Bad' });
  });

  test('startExecution does not wait, and fails if the name is in use', async () => {
    harness.define({ StartAt: 'P', States: { P: { Type: 'Pass', End: true } } }, 'child');
    harness.define(start(''));
    expect(await harness.output(await harness.start({ name: 'c3' }))).toHaveProperty('ExecutionArn');
    expect(await harness.describe(await harness.start({ name: 'c3' }))).toMatchObject({
      error: 'StepFunctions.ExecutionAlreadyExistsException',
    });
  });

  test('putEvents and DynamoDB call the connected services', async () => {
    await harness.close();
    const calls: unknown[] = [];
    harness = new Harness({
      putEvents: async (entries) => {
        calls.push(entries);
        return { FailedEntryCount: 0, Entries: [{ EventId: 'e' }] };
      },
      callDynamoDb: async (operation, args) => {
        calls.push([operation, args]);
        throw new IntegrationError(
          'DynamoDB.ConditionalCheckFailedException',
          'The conditional request failed',
        );
      },
    });
    harness.define({
      StartAt: 'Put',
      States: {
        Put: {
          Type: 'Task',
          Resource: 'arn:aws:states:::events:putEvents',
          Parameters: { Entries: [{ Source: 's' }] },
          Next: 'Update',
        },
        Update: {
          Type: 'Task',
          Resource: 'arn:aws:states:::dynamodb:updateItem',
          Parameters: { TableName: 't' },
          End: true,
        },
      },
    });
    expect(await harness.describe(await harness.start())).toMatchObject({
      status: 'FAILED',
      error: 'DynamoDB.ConditionalCheckFailedException',
    });
    expect(calls).toEqual([[{ Source: 's' }], ['updateItem', { TableName: 't' }]]);
  });
});
