import { describe, expect, test } from '@jest/globals';
import validateDefinition from 'asl-validator';
import jsonata from 'jsonata';
import { STATE_MACHINES, STEPS, TIMES, WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { MACHINE_SPECS } from '../../lib/state-machines/index.ts';
import { buildDefinition, type Definition, type State } from '../../lib/state-machines/machine.ts';

const arn = (name: string) => `arn:aws:lambda:eu-west-1:123456789012:function:${name}`;
const FUNCTIONS = {
  place: arn('place-container'),
  dispatch: arn('dispatch-command'),
  settle: arn('settle-operation'),
};
const definitions: readonly (readonly [string, Definition])[] = MACHINE_SPECS.map((spec) => [
  spec.name,
  buildDefinition(spec, FUNCTIONS, 'aws'),
]);
const definitionOf = (name: string): Definition => {
  const found = definitions.find(([one]) => one === name);
  if (found === undefined) throw new RangeError(name);
  return found[1];
};

const successPath = ({ StartAt, States }: Definition): string[] => {
  const path: string[] = [];
  for (let name: string | undefined = StartAt; name !== undefined; name = States[name]?.Next) path.push(name);
  return path;
};
const list = (state: State, field: 'Retry' | 'Catch') =>
  (state[field] ?? []) as readonly {
    readonly ErrorEquals: readonly string[];
    readonly MaxAttempts?: number;
    readonly Next?: string;
    readonly Output?: { readonly undone?: boolean; readonly failure?: { readonly cause: string } };
  }[];
const tasksOf = (definition: Definition) =>
  Object.entries(definition.States).filter(([, state]) => state.Type === 'Task');
const waitsForToken = (state: State) => String(state.Resource).endsWith('.waitForTaskToken');

/** Evaluates `{% … %}` like Step Functions, with `$states` bound. */
const evaluate = async (text: unknown, states: object): Promise<unknown> =>
  jsonata(String(text).replace(/^\{%|%\}$/g, '')).evaluate(undefined, { states });
const startedSecondsAgo = (seconds: number) => ({
  context: { Execution: { StartTime: new Date(Date.now() - seconds * 1000).toISOString() } },
});

test('each machine has a definition', () => {
  expect(definitions.map(([name]) => name)).toEqual([...STATE_MACHINES]);
});

describe.each(definitions)('%s', (_name, definition) => {
  test('is valid', () => {
    const { isValid, errors } = validateDefinition(definition);
    expect(errors).toEqual([]);
    expect(isValid).toBe(true);
  });

  test('goes to its end through at most two states', () => {
    const path = successPath(definition);
    const last = definition.States[path.at(-1) ?? ''];
    expect(last?.End === true || last?.Type === 'Fail').toBe(true);
    expect(path.filter((name) => name !== 'Failed').length).toBeLessThanOrEqual(2);
  });

  test('has at most ten states on any path, including rollback', () => {
    const longest = (name: string | undefined): number => {
      const state = name === undefined ? undefined : definition.States[name];
      if (state === undefined) return 0;
      const ways = [state.Next, ...list(state, 'Catch').map(({ Next }) => Next)];
      return 1 + Math.max(...ways.map(longest));
    };
    expect(longest(definition.StartAt)).toBeLessThanOrEqual(10);
  });

  test('every task has a time limit and retries, and a heartbeat if it waits for a token', () => {
    for (const [name, state] of tasksOf(definition)) {
      expect([name, state.TimeoutSeconds]).not.toEqual([name, undefined]);
      expect([name, list(state, 'Retry').length > 0]).toEqual([name, true]);
      expect([name, state.HeartbeatSeconds !== undefined]).toEqual([name, waitsForToken(state)]);
    }
  });

  test('every task except Settle goes to Settle after any error', () => {
    for (const [name, state] of tasksOf(definition)) {
      if (name === STEPS.settle) continue;
      const [first] = list(state, 'Catch');
      expect(first?.ErrorEquals).toEqual(['States.ALL']);
      expect([STEPS.undo, STEPS.settle]).toContain(first?.Next);
    }
    expect(definition.States[STEPS.settle]?.Next).toBe('Failed');
  });

  test('errors of Bulkhead are never retried', () => {
    for (const [name, state] of tasksOf(definition)) {
      if (name === STEPS.settle) continue;
      const first = list(state, 'Retry').find((retrier) =>
        retrier.ErrorEquals.some(
          (error) => error === WORKFLOW_ERRORS.stepFailed || error.startsWith('States.Task'),
        ),
      );
      expect([name, first?.ErrorEquals, first?.MaxAttempts]).toEqual([
        name,
        Object.values(WORKFLOW_ERRORS),
        0,
      ]);
    }
  });

  test('the execution’s time limit is longer than the deadline and the rollback', () => {
    expect(definition.TimeoutSeconds).toBeGreaterThan(TIMES.operationDeadlineSeconds + TIMES.undoSeconds);
  });

  test('a waiting task times out at the deadline, and its heartbeat is shorter', async () => {
    for (const [name, state] of tasksOf(definition)) {
      if (!waitsForToken(state) || name === STEPS.undo) continue;
      for (const [ago, left] of [
        [0, TIMES.operationDeadlineSeconds],
        [800, 100],
        [899, 2],
        [5000, 2],
      ] as const) {
        const timeout = Number(await evaluate(state.TimeoutSeconds, startedSecondsAgo(ago)));
        const heartbeat = Number(await evaluate(state.HeartbeatSeconds, startedSecondsAgo(ago)));
        expect(Number.isInteger(timeout)).toBe(true);
        expect(Math.abs(timeout - left)).toBeLessThanOrEqual(1);
        expect(heartbeat).toBeLessThan(timeout);
        expect(heartbeat).toBeGreaterThan(0);
      }
    }
  });
});

describe('steps', () => {
  test.each([
    ['prepare', [STEPS.place, STEPS.prepare]],
    ['provision-process', [STEPS.place, STEPS.start]],
    ['provision-utility-vm', [STEPS.provisionUtilityVm]],
    ['place-utility-vm', [STEPS.place, STEPS.provisionUtilityVm]],
    ['convert', [STEPS.place, STEPS.convert]],
    ['run-command', [STEPS.command]],
  ])('%s', (name, steps) => {
    expect(successPath(definitionOf(name))).toEqual(steps);
  });
});

describe('the failure path', () => {
  const provision = definitionOf('place-utility-vm');

  test.each([STEPS.provisionUtilityVm])('%s is undone', (step) => {
    expect(list(provision.States[step] as State, 'Catch')[0]?.Next).toBe(STEPS.undo);
  });

  test('a failed placement needs no Undo', () => {
    const [first] = list(provision.States[STEPS.place] as State, 'Catch');
    expect([first?.Next, first?.Output?.undone]).toEqual([STEPS.settle, true]);
  });

  test('a failed Undo is settled as not undone', () => {
    const [first] = list(provision.States[STEPS.undo] as State, 'Catch');
    expect([first?.Next, first?.Output?.undone]).toEqual([STEPS.settle, false]);
  });

  test.each(['run-command', 'settle'])('%s has no Undo', (name) => {
    expect(Object.keys(definitionOf(name).States)).not.toContain(STEPS.undo);
  });

  test('a failure without a cause has an empty cause', async () => {
    const [first] = list(provision.States[STEPS.provisionUtilityVm] as State, 'Catch');
    const cause = first?.Output?.failure?.cause;
    expect(await evaluate(cause, { errorOutput: { Error: 'States.Timeout' } })).toBe('');
    expect(await evaluate(cause, { errorOutput: { Error: 'E', Cause: 'why' } })).toBe('why');
  });

  test('the deadline ends a wait for capacity, not the number of attempts', () => {
    const waits = list(provision.States[STEPS.place] as State, 'Retry').find((retrier) =>
      retrier.ErrorEquals.includes('States.HeartbeatTimeout'),
    );
    const attempts = (waits?.MaxAttempts ?? 0) + 1;
    expect(attempts * TIMES.placementRetrySeconds).toBeGreaterThan(TIMES.operationDeadlineSeconds);
  });
});
