import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LambdaInvocationError } from '../../../../local/states/index.ts';
import { FUNCTION, Harness } from './harness.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

const work = { StartAt: 'Work', States: { Work: { Type: 'Task', Resource: FUNCTION, End: true } } };
const wait = (seconds: number, state = 'Wait') => ({
  StartAt: state,
  States: { [state]: { Type: 'Wait', Seconds: seconds, End: true } },
});
const map = (fields: object = {}) => ({
  StartAt: 'Map',
  States: {
    Map: { Type: 'Map', ItemProcessor: work, End: true, ...fields },
    Caught: { Type: 'Pass', End: true },
  },
});

describe('Map', () => {
  test('runs at most MaxConcurrency iterations in parallel and keeps the order of the items', async () => {
    harness.define(map({ MaxConcurrency: 2 }));
    const finish = new Map<unknown, () => void>();
    harness.lambda = (item) =>
      new Promise((resolve) => {
        finish.set(item, () => resolve(`${item}!`));
      });
    const arn = await harness.start(['a', 'b', 'c']);
    expect([...finish.keys()]).toEqual(['a', 'b']);
    finish.get('b')?.();
    await harness.settle();
    expect([...finish.keys()]).toEqual(['a', 'b', 'c']);
    finish.get('c')?.();
    finish.get('a')?.();
    await harness.settle();
    expect(await harness.output(arn)).toEqual(['a!', 'b!', 'c!']);
  });

  test('fails with the first failed iteration and cancels the others', async () => {
    harness.define(map({ Catch: [{ ErrorEquals: ['Bad'], Next: 'Caught' }] }));
    harness.lambda = (item) => {
      if (item === 'x') throw new LambdaInvocationError({ errorType: 'Bad', errorMessage: 'x' });
      return new Promise(() => undefined);
    };
    const arn = await harness.start(['a', 'x', 'b']);
    expect(await harness.output(arn)).toMatchObject({ Error: 'Bad' });
    expect(
      harness.invocations.filter(({ payload }) => payload !== 'x').map(({ signal }) => signal.aborted),
    ).toEqual([true, true]);
    const types = await harness.eventTypes(arn);
    expect(types.filter((type) => /Iteration(Failed|Succeeded)|MapStateFailed/.test(type))).toEqual([
      'MapIterationFailed',
      'MapStateFailed',
    ]);
  });

  test('tolerates failures up to its threshold if it is distributed', async () => {
    const ItemProcessor = { ...work, ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' } };
    harness.lambda = (item) => {
      if (item === 'x') throw new LambdaInvocationError({ errorType: 'Bad', errorMessage: 'x' });
      return item;
    };
    harness.define(map({ ItemProcessor, ToleratedFailureCount: 1 }));
    expect(await harness.output(await harness.start(['a', 'x']))).toEqual([
      'a',
      { Status: 'FAILED', Error: 'Bad', Cause: expect.any(String) },
    ]);
    const tooMany = await harness.start(['x', 'a', 'x']);
    expect(await harness.describe(tooMany)).toMatchObject({
      error: 'States.ExceedToleratedFailureThreshold',
    });
    expect(await harness.eventTypes(tooMany)).toEqual([
      'ExecutionStarted',
      'MapStateEntered',
      'MapStateStarted',
      'MapRunStarted',
      'MapRunFailed',
      'MapStateFailed',
      'ExecutionFailed',
    ]);
    harness.define(map({ ItemProcessor, ToleratedFailurePercentage: 50 }));
    expect((await harness.describe(await harness.start(['a', 'x']))).status).toBe('SUCCEEDED');
    expect((await harness.describe(await harness.start(['x', 'a', 'x']))).status).toBe('FAILED');
  });
});

describe('Parallel', () => {
  const parallel = (branches: object[], fields: object = {}) => ({
    StartAt: 'Both',
    States: {
      Both: { Type: 'Parallel', Branches: branches, Next: 'After', ...fields },
      After: { Type: 'Pass', End: true },
    },
  });

  test('ends when the last branch does, with their outputs in order', async () => {
    harness.define(parallel([wait(20), wait(10)]));
    const arn = await harness.start({ n: 1 });
    await harness.pass(10);
    expect((await harness.describe(arn)).status).toBe('RUNNING');
    await harness.pass(10);
    expect(await harness.output(arn)).toEqual([{ n: 1 }, { n: 1 }]);
  });

  test('a failed branch aborts the others', async () => {
    const fail = { StartAt: 'F', States: { F: { Type: 'Fail', Error: 'E', Cause: 'c' } } };
    harness.define(parallel([wait(20), fail], { Catch: [{ ErrorEquals: ['States.ALL'], Next: 'After' }] }));
    const arn = await harness.start();
    expect(await harness.output(arn)).toEqual({ Error: 'E', Cause: 'c' });
    expect(await harness.eventTypes(arn)).toEqual(
      expect.arrayContaining(['WaitStateAborted', 'ParallelStateFailed', 'ParallelStateExited']),
    );
  });

  test('variables of an outer scope can be read but not changed in a branch', async () => {
    const inside = {
      StartAt: 'In',
      States: {
        In: {
          Type: 'Pass',
          Assign: { own: 2 },
          Parameters: { 'sum.$': 'States.MathAdd($outer, 1)' },
          End: true,
        },
      },
    };
    harness.define({
      StartAt: 'Set',
      States: {
        Set: { Type: 'Pass', Assign: { outer: 1 }, Next: 'Both' },
        Both: { Type: 'Parallel', Branches: [inside], Next: 'See' },
        See: {
          Type: 'Choice',
          Choices: [{ Variable: '$own', IsPresent: true, Next: 'Leaked' }],
          Default: 'Kept',
        },
        Leaked: { Type: 'Fail', Error: 'Leaked' },
        Kept: { Type: 'Pass', End: true },
      },
    });
    expect(await harness.output(await harness.start())).toEqual([{ sum: 2 }]);
  });
});

test('assignments read the values from before the state', async () => {
  harness.define({
    QueryLanguage: 'JSONata',
    StartAt: 'One',
    States: {
      One: { Type: 'Pass', Assign: { x: 1, y: 10 }, Next: 'Swap' },
      Swap: { Type: 'Pass', Assign: { x: '{% $y %}', y: '{% $x %}' }, Output: '{% $x %}', Next: 'Show' },
      Show: { Type: 'Pass', Output: { x: '{% $x %}', y: '{% $y %}', was: '{% $states.input %}' }, End: true },
    },
  });
  expect(await harness.output(await harness.start())).toEqual({ x: 10, y: 1, was: 1 });
});
