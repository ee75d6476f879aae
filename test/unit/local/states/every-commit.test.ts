import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LambdaInvocationError } from '../../../../local/states/index.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';
import { FUNCTION, Harness } from './harness.ts';

/** Runs a state machine once, copies the file after each commit, and continues from each copy. */
const DEFINITION = {
  QueryLanguage: 'JSONata',
  StartAt: 'Set',
  States: {
    Set: { Type: 'Pass', Assign: { seen: '{% $states.input.items %}' }, Next: 'Flaky' },
    Flaky: {
      Type: 'Task',
      Resource: FUNCTION,
      Retry: [{ ErrorEquals: ['Busy'], IntervalSeconds: 5, MaxAttempts: 2 }],
      Assign: { answer: '{% $states.result %}' },
      Next: 'Both',
    },
    Both: {
      Type: 'Parallel',
      Branches: [
        { StartAt: 'Later', States: { Later: { Type: 'Wait', Seconds: 7, Output: 'later', End: true } } },
        {
          StartAt: 'Each',
          States: {
            Each: {
              Type: 'Map',
              Items: '{% $seen %}',
              MaxConcurrency: 1,
              ItemProcessor: {
                StartAt: 'Work',
                States: {
                  Work: { Type: 'Task', Resource: FUNCTION, Next: 'Pause' },
                  Pause: { Type: 'Wait', Seconds: 1, End: true },
                },
              },
              End: true,
            },
          },
        },
      ],
      Next: 'Ask',
    },
    Ask: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
      Arguments: { FunctionName: FUNCTION, Payload: { token: '{% $states.context.Task.Token %}' } },
      TimeoutSeconds: 60,
      Output: { both: '{% $states.input %}', answer: '{% $answer %}', said: '{% $states.result %}' },
      End: true,
    },
  },
};
const INPUT = { items: ['a', 'b'] };
const EXPECTED = { both: ['later', ['a!', 'b!']], answer: { items: ['a', 'b'] }, said: 'yes' };

const directory = mkdtempSync(join(tmpdir(), 'states-commits-'));
const snapshots: { file: string; now: number; failures: number }[] = [];

function play(harness: Harness, failures: number): void {
  let left = failures;
  harness.lambda = (payload) => {
    if (typeof payload === 'string') return `${payload}!`;
    if (payload !== null && typeof payload === 'object' && 'token' in payload) return null;
    if (left-- > 0) throw new LambdaInvocationError({ errorType: 'Busy', errorMessage: 'later' });
    return payload;
  };
}

/** Advances the clock and answers tokens until the execution has ended. */
async function finish(harness: Harness, afterTurn: () => void = () => undefined): Promise<void> {
  for (let round = 0; round < 200 && harness.service.counters.openExecutions > 0; round++) {
    for (let turn = 0; turn < 40; turn++) {
      await nextTurn();
      afterTurn();
    }
    const tokens = harness.invocations
      .map((_, i) => harness.payload(i).token)
      .filter((token) => token !== undefined);
    for (const taskToken of tokens) await harness.call('SendTaskSuccess', { taskToken, output: '"yes"' });
    harness.clock.advance(500);
  }
}

beforeAll(async () => {
  const databaseFile = join(directory, 'original.sqlite');
  const harness = new Harness({ databaseFile });
  const database = new DatabaseSync(databaseFile);
  harness.define(DEFINITION);
  play(harness, 2);
  let version: unknown;
  const snapshot = () => {
    const current = database.prepare('PRAGMA data_version').get()?.data_version;
    if (current === version) return;
    version = current;
    const file = join(directory, `${snapshots.length}.sqlite`);
    database.exec(`VACUUM INTO '${file}'`);
    const used = harness.invocations.filter(
      ({ payload }) => payload !== null && typeof payload === 'object',
    ).length;
    snapshots.push({ file, now: harness.clock.now(), failures: Math.max(0, 2 - used) });
  };
  await harness.call('StartExecution', {
    stateMachineArn: 'arn:aws:states:eu-west-1:111111111111:stateMachine:machine',
    name: 'e',
    input: JSON.stringify(INPUT),
  });
  snapshot();
  await finish(harness, snapshot);
  database.close();
  await harness.close();
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a restart from every commit of an execution leads to the same result', async () => {
  const executionArn = 'arn:aws:states:eu-west-1:111111111111:execution:machine:e';
  expect(snapshots.length).toBeGreaterThan(10);
  for (const { file, now, failures } of snapshots) {
    const harness = new Harness({ databaseFile: file }, new ManualCloudClock(now));
    harness.define(DEFINITION);
    play(harness, failures);
    await harness.service.resume();
    // The receiver of a token still has it after the crash, but this process does not.
    const database = new DatabaseSync(file, { readOnly: true });
    const waiting = database
      .prepare(`SELECT data ->> '$.task.token' AS token FROM frames WHERE data ->> '$.task.submitted' = 1`)
      .get();
    database.close();
    if (waiting) await harness.call('SendTaskSuccess', { taskToken: waiting.token, output: '"yes"' });
    await finish(harness);
    expect(await harness.output(executionArn)).toEqual(EXPECTED);
    const events = await harness.history(executionArn);
    expect(events.map((event) => event.id)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter((event) => event.type === 'ExecutionSucceeded')).toHaveLength(1);
    expect(
      harness.statusChanges.filter((event) => event.detail.status === 'SUCCEEDED').length,
    ).toBeLessThanOrEqual(1);
    await harness.close();
  }
});
