import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Chaos, createChaos, noChaos, parseChaos } from '../../../../local/chaos.ts';
import { FunctionNotFoundError, ServiceError, TemplateProblem } from '../../../../local/errors.ts';
import { EventsEngine } from '../../../../local/events/events-engine.ts';
import type { Json, JsonObject } from '../../../../local/template/json.ts';
import {
  removeTemporaryDirectories,
  resource,
  temporaryDirectory,
  testContext,
} from '../../../helpers/local-fixtures.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

const lambdaArn = 'arn:aws:lambda:us-east-1:000000000000:function:f';
const machineArn = 'arn:aws:states:us-east-1:000000000000:stateMachine:m';
const queueArn = 'arn:aws:sqs:us-east-1:000000000000:q';

let clock: ManualCloudClock;
let stateDir: string;
let engine: EventsEngine;
let invoked: string[];
let started: { name: string; input: string }[];
let queued: { queueArn: string; body: string; attributes: Readonly<Record<string, string>> }[];
let failure: Error | undefined;

const open = (chaos: Chaos = noChaos): void => {
  const functions = {
    invoke: () => Promise.reject(new TypeError('events never wait for functions')),
    invokeAsync: async (_name: string, payload: string) => {
      if (failure !== undefined) throw failure;
      invoked.push(payload);
      return 'request';
    },
  };
  engine = new EventsEngine(
    testContext({ clock, stateDir, functions }),
    {
      startExecution: async (_arn, name, input) => {
        if (failure !== undefined) throw failure;
        started.push({ name, input });
      },
      sendToQueue: (arn, body, attributes) => queued.push({ queueArn: arn, body, attributes }),
      sendDeadLetter: (arn, body, attributes) => queued.push({ queueArn: arn, body, attributes }),
    },
    chaos,
  );
};
beforeEach(() => {
  clock = new ManualCloudClock();
  stateDir = temporaryDirectory();
  invoked = [];
  started = [];
  queued = [];
  failure = undefined;
  open();
});
afterEach(() => engine.stop());
afterAll(removeTemporaryDirectories);

const call = (operation: string, input: JsonObject) => engine.service.call(operation, input);
const put = (entry: JsonObject = {}) =>
  call('PutEvents', { Entries: [{ Source: 'test', DetailType: 'Thing', Detail: '{"n":1}', ...entry }] });
/** Advances the clock and waits for the resulting work. */
const pass = async (ms = 0): Promise<void> => {
  clock.advance(ms);
  await engine.drain();
};
const rule = (properties: Record<string, unknown>, logicalId = 'Rule') =>
  engine.create(
    resource(
      'AWS::Events::Rule',
      { State: 'ENABLED', EventPattern: { source: ['test'] }, ...properties },
      logicalId,
    ),
  );
const target = (arn: string, more: JsonObject = {}): JsonObject => ({ Id: 'T', Arn: arn, ...more });

test('a bus accepts 300 rules and changes to them, but no more rules', async () => {
  const putRule = (index: number) =>
    call('PutRule', { Name: `rule-${index}`, EventPattern: '{"source":["test"]}' });
  for (let index = 0; index < 300; index += 1) await putRule(index);
  await expect(putRule(300)).rejects.toMatchObject({ code: 'LimitExceededException' });
  await putRule(7);
  await call('DeleteRule', { Name: 'rule-7' });
  await putRule(300);
});

describe('rules of the template', () => {
  test('an event goes to the targets of the rules that match it, on its bus', async () => {
    engine.create(resource('AWS::Events::EventBus', { Name: 'bus' }, 'Bus'));
    rule(
      {
        EventBusName: 'bus',
        Targets: [target(lambdaArn), target(queueArn, { Id: 'Q', Input: '"constant"' })],
      },
      'A',
    );
    rule({ EventBusName: 'bus', EventPattern: { source: ['other'] }, Targets: [target(machineArn)] }, 'B');
    rule({ State: 'DISABLED', EventBusName: 'bus', Targets: [target(machineArn)] }, 'C');
    rule({ Targets: [target(machineArn)] }, 'D');
    await engine.activate();
    const { Entries } = await put({ EventBusName: 'bus', Resources: ['arn:x'] });
    await pass();
    const [id] = (Entries as { EventId: string }[]).map((one) => one.EventId);
    expect(invoked.map((payload) => JSON.parse(payload))).toEqual([
      {
        version: '0',
        id,
        'detail-type': 'Thing',
        source: 'test',
        account: '000000000000',
        time: '2026-11-23T09:05:07Z',
        region: 'us-east-1',
        resources: ['arn:x'],
        detail: { n: 1 },
      },
    ]);
    expect(queued.map((one) => one.body)).toEqual(['"constant"']);
    expect(started).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      'a target that is not implemented',
      { Targets: [target('arn:aws:kinesis:us-east-1:0:stream/s')] },
      'kinesis',
    ],
    ['an invalid pattern', { EventPattern: { source: 'text' } }, 'Event pattern is not valid'],
    [
      'an invalid schedule',
      { EventPattern: undefined, ScheduleExpression: 'rate(1 hours)' },
      'rate(1 hours)',
    ],
  ])('%s is refused by name', (_name, properties, expected) => {
    expect(() => rule(properties)).toThrow(TemplateProblem);
    expect(() => rule(properties)).toThrow(expected);
  });
});

describe('deliveries', () => {
  test('an accepted event survives the end of the process and is repeated at most once, with the same name', async () => {
    rule({ Targets: [target(machineArn)] });
    await put();
    await engine.stop();
    open();
    rule({ Targets: [target(machineArn)] });
    await engine.activate();
    await pass();
    expect(started).toHaveLength(1);
    await engine.stop();
    open();
    await engine.activate();
    await pass();
    expect(started).toHaveLength(1);
  });

  test('a delivery to a failing target is retried with growing pauses until it succeeds', async () => {
    rule({ Targets: [target(lambdaArn)] });
    await engine.activate();
    failure = new ServiceError('ServiceUnavailable', 'busy', 503);
    await put();
    await pass();
    for (let round = 0; round < 8; round += 1) await pass(1_000);
    expect(invoked).toEqual([]);
    failure = undefined;
    await pass(60_000);
    expect(invoked).toHaveLength(1);
  });

  test('an event goes to the dead-letter queue after its retries', async () => {
    rule({
      Targets: [
        target(lambdaArn, {
          RetryPolicy: { MaximumRetryAttempts: 2 },
          DeadLetterConfig: { Arn: 'arn:dead' },
        }),
      ],
    });
    await engine.activate();
    failure = new ServiceError('ServiceUnavailable', 'busy', 503);
    await put();
    for (let round = 0; round < 6; round += 1) await pass(1_000);
    expect(queued).toHaveLength(1);
    expect(queued[0]).toMatchObject({
      queueArn: 'arn:dead',
      attributes: {
        ERROR_CODE: 'ServiceUnavailable',
        EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
        RETRY_ATTEMPTS: '2',
        TARGET_ARN: lambdaArn,
      },
    });
    expect(JSON.parse(queued[0]?.body ?? '')).toMatchObject({ source: 'test', detail: { n: 1 } });
  });

  test('an event that is too old is dropped', async () => {
    rule({
      Targets: [
        target(lambdaArn, {
          RetryPolicy: { MaximumEventAgeInSeconds: 60 },
          DeadLetterConfig: { Arn: 'arn:dead' },
        }),
      ],
    });
    await engine.activate();
    failure = new ServiceError('ServiceUnavailable', 'busy', 503);
    await put();
    for (let round = 0; round < 70; round += 1) await pass(1_000);
    expect(queued.map((one) => one.attributes.EXHAUSTED_RETRY_CONDITION)).toEqual([
      'MaximumEventAgeInSeconds',
    ]);
  });

  test('an event for a missing target is dropped immediately', async () => {
    rule({ Targets: [target(lambdaArn, { DeadLetterConfig: { Arn: 'arn:dead' } })] });
    await engine.activate();
    failure = new FunctionNotFoundError('f');
    await put();
    await pass();
    expect(queued.map((one) => one.attributes.RETRY_ATTEMPTS)).toEqual(['0']);
  });

  test('chaos repeats deliveries with the same name and reorders events', async () => {
    await engine.stop();
    let held = true;
    open({
      duplicates: () => true,
      reorders: () => {
        const hold = held;
        held = false;
        return hold;
      },
    });
    rule({ Targets: [target(machineArn, { InputPath: '$.detail.n' })] });
    await engine.activate();
    await put({ Detail: '{"n":1}' });
    await put({ Detail: '{"n":2}' });
    await pass();
    await pass(1_000);
    expect(started.map((one) => one.input)).toEqual(['2', '2', '1', '1']);
    expect(new Set(started.map((one) => one.name)).size).toBe(2);
  });
});

describe('schedules', () => {
  const scheduled = () =>
    rule({ EventPattern: undefined, ScheduleExpression: 'rate(5 minutes)', Targets: [target(lambdaArn)] });

  test('a rate fires at its interval despite delays', async () => {
    scheduled();
    await engine.activate();
    for (let minute = 0; minute < 60; minute += 1) await pass(60_000);
    expect(invoked).toHaveLength(12);
    expect(JSON.parse(invoked[0] ?? '')).toMatchObject({
      source: 'aws.events',
      'detail-type': 'Scheduled Event',
      detail: {},
    });
  });

  test('after a stop of hours a rate fires once and keeps its interval', async () => {
    scheduled();
    await engine.activate();
    await pass(300_000);
    expect(invoked).toHaveLength(1);
    await engine.stop();
    clock.advance(7 * 3_600_000 + 60_000);
    open();
    scheduled();
    await engine.activate();
    await pass(0);
    expect(invoked).toHaveLength(2);
    await pass(239_000);
    expect(invoked).toHaveLength(2);
    await pass(1_000);
    expect(invoked).toHaveLength(3);
  });

  test('a disabled schedule does not fire', async () => {
    const { ref } = scheduled();
    await engine.activate();
    await call('DisableRule', { Name: ref });
    await pass(3_600_000);
    expect(invoked).toEqual([]);
  });
});

describe('the API', () => {
  test('stores rules with their targets', async () => {
    await call('PutRule', { Name: 'mine', EventPattern: '{"source":["test"]}', Description: 'd' });
    await call('PutTargets', { Rule: 'mine', Targets: [target(lambdaArn, { InputPath: '$.detail' })] });
    await engine.stop();
    open();
    expect(await call('DescribeRule', { Name: 'mine' })).toMatchObject({
      State: 'ENABLED',
      EventPattern: '{"source":["test"]}',
      Description: 'd',
    });
    expect(await call('ListTargetsByRule', { Rule: 'mine' })).toMatchObject({
      Targets: [{ Id: 'T', Arn: lambdaArn, InputPath: '$.detail' }],
    });
    await engine.activate();
    await put();
    await pass();
    expect(invoked).toEqual(['{"n":1}']);
  });

  test('does not delete a rule with targets, deletes one without, and ignores an unknown one', async () => {
    await call('PutRule', { Name: 'mine', EventPattern: '{"source":["test"]}' });
    await call('PutTargets', { Rule: 'mine', Targets: [target(lambdaArn)] });
    await expect(call('DeleteRule', { Name: 'mine' })).rejects.toThrow(/has targets/);
    await call('RemoveTargets', { Rule: 'mine', Ids: ['T'] });
    await call('DeleteRule', { Name: 'mine' });
    await call('DeleteRule', { Name: 'mine' });
    await expect(call('DescribeRule', { Name: 'mine' })).rejects.toThrow(/does not exist/);
  });

  test('lists rules by prefix, page by page', async () => {
    for (const Name of ['a-1', 'a-2', 'a-3', 'b-1'])
      await call('PutRule', { Name, EventPattern: '{"source":["test"]}' });
    const first = await call('ListRules', { NamePrefix: 'a-', Limit: 2 });
    const second = await call('ListRules', {
      NamePrefix: 'a-',
      Limit: 2,
      NextToken: first.NextToken as Json,
    });
    const names = [first, second].map(({ Rules }) => (Rules as { Name: string }[]).map((one) => one.Name));
    expect(names).toEqual([['a-1', 'a-2'], ['a-3']]);
    expect(second.NextToken).toBeUndefined();
  });

  test.each<[JsonObject, string]>([
    [{ Source: '' }, 'InvalidArgument'],
    [{ DetailType: '' }, 'InvalidArgument'],
    [{ Detail: '[]' }, 'MalformedDetail'],
    [{ Detail: 'x' }, 'MalformedDetail'],
    [{ Source: 'aws.states' }, 'NotAuthorizedForSourceException'],
    [{ EventBusName: 'nowhere' }, 'ResourceNotFoundException'],
  ])('an entry with %j fails by itself: %s', async (entry, code) => {
    const { FailedEntryCount, Entries } = await call('PutEvents', {
      Entries: [
        { Source: 's', DetailType: 't', Detail: '{}' },
        { Source: 's', DetailType: 't', Detail: '{}', ...entry },
      ],
    });
    expect(FailedEntryCount).toBe(1);
    expect(Entries).toMatchObject([{ EventId: expect.any(String) }, { ErrorCode: code }]);
  });

  test('refuses a whole request over 256 KB or with more than ten entries', async () => {
    await expect(put({ Detail: JSON.stringify({ text: 'x'.repeat(256 * 1024) }) })).rejects.toThrow(
      /over the limit/,
    );
    const entry = { Source: 's', DetailType: 't', Detail: '{}' };
    await expect(call('PutEvents', { Entries: Array.from({ length: 11 }, () => entry) })).rejects.toThrow(
      /length/,
    );
  });

  test('refuses a sixth target, an unknown operation and an invalid name', async () => {
    await call('PutRule', { Name: 'mine', EventPattern: '{"source":["test"]}' });
    const Targets = Array.from({ length: 6 }, (_, index) => target(lambdaArn, { Id: `T${index}` }));
    await expect(call('PutTargets', { Rule: 'mine', Targets })).rejects.toThrow(/exceeds/);
    await expect(call('PutPartnerEvents', {})).rejects.toThrow(/PutPartnerEvents/);
    await expect(call('PutRule', { Name: 'no spaces', EventPattern: '{}' })).rejects.toThrow(/no spaces/);
  });

  test('tests a pattern', async () => {
    const EventPattern = '{"detail":{"n":[{"numeric":[">",0]}]}}';
    expect(await call('TestEventPattern', { EventPattern, Event: '{"detail":{"n":1}}' })).toEqual({
      Result: true,
    });
    expect(await call('TestEventPattern', { EventPattern, Event: '{"detail":{"n":0}}' })).toEqual({
      Result: false,
    });
  });
});

test('chaos is deterministic for a seed', () => {
  const options = parseChaos('duplicate=0.5, reorder=0.25, seed=7');
  const draw = () => {
    const chaos = createChaos(options);
    return Array.from({ length: 50 }, () => [chaos.duplicates(), chaos.reorders()]);
  };
  expect(draw()).toEqual(draw());
  expect(draw().some(([duplicate]) => duplicate)).toBe(true);
  expect(() => parseChaos('duplicate=2')).toThrow(/BULKHEAD_CHAOS/);
});
