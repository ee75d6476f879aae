import {
  InvalidToken,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  SFNClient,
  TaskDoesNotExist,
  TaskTimedOut,
} from '@aws-sdk/client-sfn';
import { describe, expect, test } from '@jest/globals';
import { mockClient } from 'aws-sdk-client-mock';
import { createProblem } from '../../../core/domain/problems.ts';
import { parseSettleInput } from '../../../functions/settle-operation/settle-input.ts';
import { createTasks } from '../../../functions/shared/steps/step-functions-tasks.ts';
import { explainFailure } from '../../../workflow/operation/explain-failure.ts';

describe('results of tasks', () => {
  const failed = { message: 'x', $metadata: {} };
  test.each([new TaskTimedOut(failed), new TaskDoesNotExist(failed), new InvalidToken(failed)])(
    '%s is ignored, because another caller has answered the task',
    async (error) => {
      const client = new SFNClient({ region: 'us-east-1' });
      mockClient(client).on(SendTaskSuccessCommand).rejects(error);
      expect(await createTasks(client).succeed('token', {})).toBe('settled');
    },
  );

  test('other errors are thrown', async () => {
    const client = new SFNClient({ region: 'us-east-1' });
    mockClient(client).on(SendTaskSuccessCommand).rejects(new TypeError('network'));
    await expect(createTasks(client).succeed('token', {})).rejects.toThrow('network');
  });

  test('a cause is truncated to the limit of Step Functions', async () => {
    const client = new SFNClient({ region: 'us-east-1' });
    const mock = mockClient(client);
    mock.on(SendTaskFailureCommand).resolves({});
    expect(await createTasks(client).fail('token', 'E', 'x'.repeat(40_000))).toBe('delivered');
    const [call] = mock.commandCalls(SendTaskFailureCommand);
    expect(call?.args[0].input.cause).toHaveLength(32_768);
  });
});

describe('the input of a settlement', () => {
  const ids = {
    tenant: 'acme',
    operationId: '11111111-1111-4111-8111-111111111111',
    containerId: null,
    epoch: 0,
  };
  const change = (status: string, over: object = {}) => ({
    'detail-type': 'Step Functions Execution Status Change',
    detail: { status, name: ids.operationId, input: JSON.stringify(ids), ...over },
  });

  test('comes from the state machine', () => {
    const failure = { error: 'E', cause: 'c' };
    expect(parseSettleInput({ ...ids, step: 'Settle', failure, undone: true })).toEqual({
      ...ids,
      failure,
      undone: true,
    });
  });

  test.each([
    ['ABORTED', 'ABORTED'],
    ['TIMED_OUT', 'States.Timeout'],
    ['FAILED', 'Bulkhead.StepFailed'],
  ])('from the status change %s', (status, error) => {
    expect(parseSettleInput(change(status, { error: 'Bulkhead.StepFailed', cause: 'c' }))).toEqual({
      ...ids,
      failure: { error, cause: 'c' },
      undone: false,
    });
  });

  test.each([
    [null],
    [{}],
    [change('SUCCEEDED')],
    [change('FAILED', { input: '{' })],
    [change('FAILED', { name: 'another' })],
  ])('nothing from %j', (event) => {
    expect(parseSettleInput(event)).toBeUndefined();
  });

  test.each([
    ['States.Timeout', 'deadline-exceeded'],
    ['States.HeartbeatTimeout', 'host-not-answering'],
    ['ABORTED', 'operation-aborted'],
    ['Bulkhead.Cancelled', 'operation-cancelled'],
    ['TypeError', 'internal'],
  ])('%s is reported as %s', (error, code) => {
    expect(explainFailure({ error, cause: 'not a problem' }, createProblem).code).toBe(code);
  });

  test('a problem from Bulkhead is reported unchanged', () => {
    const problem = createProblem('image-incompatible', 'It is for another build.');
    expect(
      explainFailure({ error: 'Bulkhead.StepFailed', cause: JSON.stringify(problem) }, createProblem),
    ).toEqual(problem);
  });
});
