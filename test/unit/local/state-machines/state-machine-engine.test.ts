import { afterAll, expect, test } from '@jest/globals';
import { ThrottledError } from '../../../../local/errors.ts';
import { StateMachineEngine } from '../../../../local/state-machines/state-machine-engine.ts';
import type { Json } from '../../../../local/template/json.ts';
import { removeTemporaryDirectories, resource, testContext } from '../../../helpers/local-fixtures.ts';

afterAll(removeTemporaryDirectories);

const THROTTLED = 'Lambda.TooManyRequestsException';
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:f';

test('a throttled function results in the error name of the States Language, which a workflow can catch or retry', async () => {
  const ended = Promise.withResolvers<Json>();
  const engine = new StateMachineEngine(
    testContext({
      functions: {
        invoke: () => Promise.reject(new ThrottledError('f')),
        invokeAsync: () => Promise.reject(new TypeError('not asynchronously')),
      },
    }),
    {
      putEvents: () => Promise.reject(new TypeError('no events')),
      callDynamoDb: () => Promise.reject(new TypeError('no table')),
      publish: ({ detail }) => {
        const { status, output } = detail as Record<string, Json>;
        if (status !== 'RUNNING') ended.resolve([status ?? null, output ?? null]);
      },
    },
  );
  try {
    const task = {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke',
      Parameters: { FunctionName: FUNCTION },
    };
    const caught = { Catch: [{ ErrorEquals: [THROTTLED], Next: 'Caught', ResultPath: null }], End: true };
    const States = { Call: { ...task, ...caught }, Caught: { Type: 'Pass', Result: 'caught', End: true } };
    const { ref } = engine.create(
      resource('AWS::StepFunctions::StateMachine', {
        DefinitionString: JSON.stringify({ StartAt: 'Call', States }),
      }),
    );
    await engine.activate();
    await engine.startExecution(ref, 'one', '{}');
    expect(await ended.promise).toEqual(['SUCCEEDED', '"caught"']);
  } finally {
    await engine.stop();
  }
});
