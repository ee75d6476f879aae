import { describe, expect, test } from '@jest/globals';
import { loadDefinition } from '../../../../local/states/definition/load-definition.ts';
import { DefinitionRefusedError, type Refusal } from '../../../../local/states/index.ts';
import { FUNCTION } from './harness.ts';

function refusals(definition: unknown): Refusal[] {
  try {
    loadDefinition(typeof definition === 'string' ? definition : JSON.stringify(definition));
    return [];
  } catch (error) {
    if (error instanceof DefinitionRefusedError) return error.refusals;
    throw error;
  }
}

const inner = { StartAt: 'I', States: { I: { Type: 'Pass', End: true } } };
const STATES: Record<string, object> = {
  Pass: { Type: 'Pass', End: true },
  Task: { Type: 'Task', Resource: FUNCTION, End: true },
  Choice: { Type: 'Choice', Choices: [{ Variable: '$', IsPresent: true, Next: 'Done' }] },
  Wait: { Type: 'Wait', Seconds: 1, End: true },
  Succeed: { Type: 'Succeed' },
  Fail: { Type: 'Fail' },
  Parallel: { Type: 'Parallel', Branches: [inner], End: true },
  Map: { Type: 'Map', ItemProcessor: inner, End: true },
};
const machine = (state: object) => ({ StartAt: 'S', States: { S: state, Done: { Type: 'Succeed' } } });

describe('every state type', () => {
  test.each(Object.entries(STATES))('%s is accepted with its own fields', (_, state) => {
    expect(refusals(machine(state))).toEqual([]);
  });

  test.each(Object.entries(STATES))('%s with an unknown field is refused by name', (_, state) => {
    expect(refusals(machine({ ...state, Surprise: 1 }))).toEqual([
      expect.objectContaining({ feature: 'Surprise', path: '/States/S/Surprise' }),
    ]);
  });

  test.each(Object.entries(STATES))(
    '%s does not accept the fields of the other query language',
    (type, state) => {
      if (type === 'Fail') return expect(refusals(machine({ ...state, Output: 1 }))).toHaveLength(1);
      const [refusal] = refusals(machine({ ...state, Output: '{% 1 %}' }));
      expect(refusal).toMatchObject({ feature: 'Output', path: '/States/S/Output' });
      expect(refusal?.message).toContain("only supported for the 'JSONata' QueryLanguage");
    },
  );
});

describe('features that are not implemented', () => {
  const map = { Type: 'Map', ItemProcessor: inner, End: true };
  const task = (resource: string) => ({ Type: 'Task', Resource: resource, End: true });
  test.each<[string, object, string]>([
    ['ItemReader', { ...map, ItemReader: {} }, '/States/S/ItemReader'],
    ['ItemBatcher', { ...map, ItemBatcher: {} }, '/States/S/ItemBatcher'],
    ['ResultWriter', { ...map, ResultWriter: {} }, '/States/S/ResultWriter'],
    ['Credentials', { ...STATES.Task, Credentials: {} }, '/States/S/Credentials'],
    ['Resource', task('arn:aws:states:::aws-sdk:dynamodb:query'), '/States/S/Resource'],
    ['Resource', task('arn:aws:states:::sqs:sendMessage'), '/States/S/Resource'],
    ['Resource', task('arn:aws:states:us-east-1:111111111111:activity:a'), '/States/S/Resource'],
    ['Type', { Type: 'Loop' }, '/States/S/Type'],
    ['ToleratedFailureCount', { ...map, ToleratedFailureCount: 1 }, '/States/S/ToleratedFailureCount'],
    [
      'ExecutionType',
      {
        ...map,
        ItemProcessor: { ...inner, ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' } },
      },
      '/States/S/ItemProcessor/ProcessorConfig/ExecutionType',
    ],
  ])('%s', (feature, state, path) => {
    expect(refusals(machine(state))).toEqual([expect.objectContaining({ feature, path })]);
  });

  test('are reported by name at any depth', () => {
    const nested = { StartAt: 'X', States: { X: { Type: 'Pass', End: true, Odd: 1 } } };
    expect(refusals(machine({ ...STATES.Parallel, Branches: [inner, nested] }))).toEqual([
      expect.objectContaining({ feature: 'Odd', path: '/States/S/Branches/1/States/X/Odd' }),
    ]);
    expect(refusals(machine({ ...map, ItemProcessor: nested }))).toEqual([
      expect.objectContaining({ feature: 'Odd', path: '/States/S/ItemProcessor/States/X/Odd' }),
    ]);
  });

  test('an outer variable can be assigned only in child executions, which have their own', () => {
    const assigning = { StartAt: 'X', States: { X: { Type: 'Pass', End: true, Assign: { 'v.$': '$' } } } };
    const definition = (mode: string) => ({
      StartAt: 'S',
      States: {
        S: { Type: 'Pass', Assign: { v: 1 }, Next: 'M' },
        M: { ...map, ItemProcessor: { ...assigning, ProcessorConfig: { Mode: mode } } },
      },
    });
    expect(refusals(definition('INLINE'))).toEqual([
      expect.objectContaining({ feature: 'Assign', path: '/States/M/ItemProcessor/States/X/Assign/v.$' }),
    ]);
    expect(refusals(definition('DISTRIBUTED'))).toEqual([]);
  });

  test('are all reported, not only the first', () => {
    const definition = { StartAt: 'S', States: { S: { Type: 'Pass', End: true, A: 1, B: 2 } }, C: 3 };
    expect(refusals(definition).map((refusal) => refusal.feature)).toEqual(['C', 'A', 'B']);
  });
});

describe('invalid definitions', () => {
  const pass = (fields: object) => machine({ Type: 'Pass', End: true, ...fields });
  test.each<[string, unknown, string]>([
    ['invalid JSON', '{', '/'],
    ['no states', { StartAt: 'S', States: {} }, '/States'],
    ['an unknown StartAt', { StartAt: 'X', States: { S: { Type: 'Succeed' } } }, '/StartAt'],
    ['an unknown Next', machine({ Type: 'Pass', Next: 'X' }), '/States/S/Next'],
    ['neither Next nor End', machine({ Type: 'Pass' }), '/States/S'],
    ['a bad path', pass({ InputPath: '$.[' }), '/States/S/InputPath'],
    ['a script in a path', pass({ InputPath: '$.a[(@.length-1)]' }), '/States/S/InputPath'],
    ['a path that cannot be written to', pass({ ResultPath: '$.a[*]' }), '/States/S/ResultPath'],
    ['an unknown intrinsic', pass({ Parameters: { 'a.$': 'States.Nope()' } }), '/States/S/Parameters/a.$'],
    ['too few arguments', pass({ Parameters: { 'a.$': 'States.Hash($.x)' } }), '/States/S/Parameters/a.$'],
    [
      'bad JSONata',
      machine({ Type: 'Pass', QueryLanguage: 'JSONata', Output: '{% 1 + %}', End: true }),
      '/States/S/Output',
    ],
    ['two waits', machine({ Type: 'Wait', Seconds: 1, SecondsPath: '$.s', End: true }), '/States/S'],
    [
      'States.ALL among others',
      machine({ ...STATES.Task, Retry: [{ ErrorEquals: ['States.ALL', 'X'] }] }),
      '/States/S/Retry[0]/ErrorEquals',
    ],
    [
      'two operators',
      machine({ Type: 'Choice', Choices: [{ Variable: '$', IsNull: true, IsString: true, Next: 'Done' }] }),
      '/States/S/Choices[0]',
    ],
    [
      'JSONPath beneath JSONata',
      { QueryLanguage: 'JSONata', ...pass({ QueryLanguage: 'JSONPath' }) },
      '/States/S',
    ],
    [
      'a token that is not passed on',
      machine({
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: FUNCTION },
        End: true,
      }),
      '/States/S',
    ],
  ])('%s', (_, definition, path) => {
    expect(refusals(definition).map((refusal) => refusal.path)).toContain(path);
  });
});
