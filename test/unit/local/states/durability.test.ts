import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FUNCTION, Harness, machineArn } from './harness.ts';

/**
 * A second connection to the file reads the data that would remain if the process crashed at the moment of an effect.
 */
let directory: string;
let harness: Harness;
let database: DatabaseSync;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'states-durability-'));
});
afterEach(async () => {
  database.close();
  await harness.close();
  rmSync(directory, { recursive: true, force: true });
});

function open(options: ConstructorParameters<typeof Harness>[0] = {}): void {
  const databaseFile = join(directory, 'states.sqlite');
  harness = new Harness({ databaseFile, ...options });
  database = new DatabaseSync(databaseFile, { readOnly: true });
}

const frames = () =>
  database
    .prepare('SELECT data FROM frames')
    .all()
    .map((row) => JSON.parse(String(row.data)));

test('an invocation’s token and the variables before it are durable when the function gets them', async () => {
  open();
  harness.define({
    StartAt: 'Set',
    States: {
      Set: { Type: 'Pass', Assign: { x: 1 }, Next: 'Ask' },
      Ask: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: FUNCTION, Payload: { 'token.$': '$$.Task.Token' } },
        End: true,
      },
    },
  });
  const seen: unknown[] = [];
  harness.lambda = (payload) => {
    const [frame] = frames();
    seen.push([
      frame?.state,
      frame?.phase,
      frame?.variables,
      frame?.task?.token === (payload as { token: string }).token,
    ]);
  };
  await harness.start();
  expect(seen).toEqual([['Ask', 'task', { x: 1 }, true]]);
});

test('a task’s result is durable when the next step uses it and when its sender gets the confirmation', async () => {
  open();
  harness.define({
    StartAt: 'One',
    States: {
      One: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: FUNCTION, Payload: { 'token.$': '$$.Task.Token' } },
        Next: 'Two',
      },
      Two: { Type: 'Task', Resource: FUNCTION, End: true },
    },
  });
  await harness.start();
  const seen: unknown[] = [];
  harness.lambda = () => {
    seen.push(frames().map((frame) => [frame.state, frame.phase, frame.input]));
    return new Promise(() => undefined);
  };
  const { status } = await harness.call('SendTaskSuccess', {
    taskToken: harness.payload().token,
    output: '"yes"',
  });
  expect(status).toBe(200);
  expect(frames().map((frame) => frame.input)).toEqual(['yes']);
  await harness.settle();
  expect(seen).toEqual([[['Two', 'task', 'yes']]]);
});

test('a start and an end are durable when they are reported', async () => {
  const seen: unknown[] = [];
  open({
    onStatusChange: async (event) => {
      const [execution] = database.prepare('SELECT status, output FROM executions').all();
      const waiting = database
        .prepare('SELECT event FROM outbox')
        .all()
        .map((row) => JSON.parse(String(row.event)).id);
      seen.push([event.detail.status, execution?.status, execution?.output, waiting.includes(event.id)]);
    },
  });
  harness.define({ StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 1, End: true } } });
  const { body } = await harness.call('StartExecution', {
    stateMachineArn: machineArn('machine'),
    input: '5',
  });
  const types = database.prepare('SELECT type FROM events').all();
  expect(types.map((row) => row.type)).toEqual(['ExecutionStarted']);
  expect(frames().map((frame) => frame.phase)).toEqual(['enter']);
  expect(
    database
      .prepare('SELECT arn FROM executions')
      .all()
      .map((row) => row.arn),
  ).toEqual([body.executionArn]);
  await harness.settle();
  await harness.pass(1);
  expect(seen).toEqual([
    ['RUNNING', 'RUNNING', null, true],
    ['SUCCEEDED', 'SUCCEEDED', '5', true],
  ]);
  await harness.settle();
  expect(database.prepare('SELECT count(*) AS n FROM outbox').get()?.n).toBe(0);
});
