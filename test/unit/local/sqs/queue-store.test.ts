import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { noChaos } from '../../../../local/chaos.ts';
import { SqsEngine } from '../../../../local/sqs/sqs-engine.ts';
import type { JsonObject } from '../../../../local/template/json.ts';
import {
  removeTemporaryDirectories,
  resource,
  temporaryDirectory,
  testContext,
} from '../../../helpers/local-fixtures.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

let clock: ManualCloudClock;
let stateDir: string;
let sqs: SqsEngine;
let url: string;

const open = () => {
  sqs = new SqsEngine(testContext({ clock, stateDir }), noChaos);
  const dead = sqs.create(resource('AWS::SQS::Queue', { QueueName: 'dead' }));
  const redrive = { deadLetterTargetArn: dead.attributes.Arn, maxReceiveCount: 2 };
  url = sqs.create(
    resource('AWS::SQS::Queue', { QueueName: 'q', RedrivePolicy: redrive, MessageRetentionPeriod: 3600 }),
  ).ref;
};
beforeEach(() => {
  clock = new ManualCloudClock();
  stateDir = temporaryDirectory();
  open();
});
afterAll(removeTemporaryDirectories);

const call = (operation: string, input: JsonObject = {}) =>
  sqs.service.call(operation, { QueueUrl: url, ...input });
const receive = async (input: JsonObject = {}) => {
  const { Messages } = await call('ReceiveMessage', { MaxNumberOfMessages: 10, ...input });
  return (Messages ?? []) as unknown as {
    Body: string;
    ReceiptHandle: string;
    Attributes: Record<string, string>;
  }[];
};

describe('a queue', () => {
  test('hides received messages until their visibility timeout, and removes deleted messages', async () => {
    await call('SendMessage', { MessageBody: 'one' });
    expect((await receive({ VisibilityTimeout: 10 })).map((one) => one.Body)).toEqual(['one']);
    expect(await receive()).toEqual([]);
    clock.advance(10_000);
    const [again] = await receive();
    expect(again?.Attributes.ApproximateReceiveCount).toBe('2');
    await call('DeleteMessage', { ReceiptHandle: again?.ReceiptHandle ?? '' });
    clock.advance(60_000);
    expect(await receive()).toEqual([]);
  });

  test('ignores a deletion with an old receipt', async () => {
    await call('SendMessage', { MessageBody: 'one' });
    const [first] = await receive({ VisibilityTimeout: 1 });
    clock.advance(1_000);
    await receive({ VisibilityTimeout: 1 });
    await call('DeleteMessage', { ReceiptHandle: first?.ReceiptHandle ?? '' });
    clock.advance(1_000);
    const { Attributes } = await call('GetQueueAttributes', {
      AttributeNames: ['ApproximateNumberOfMessages'],
    });
    expect(Attributes).toEqual({ ApproximateNumberOfMessages: '1' });
  });

  test('moves a message to the dead-letter queue after too many receives', async () => {
    await call('SendMessage', { MessageBody: 'poison' });
    for (let round = 0; round < 2; round += 1) {
      expect(await receive({ VisibilityTimeout: 1 })).toHaveLength(1);
      clock.advance(1_000);
    }
    expect(await receive()).toEqual([]);
    expect((await receive({ QueueUrl: url.replace(/q$/, 'dead') })).map((one) => one.Body)).toEqual([
      'poison',
    ]);
  });

  test('keeps its messages across restarts and for its retention period', async () => {
    await call('SendMessage', { MessageBody: 'one', DelaySeconds: 5 });
    await sqs.stop();
    open();
    expect(await receive()).toEqual([]);
    clock.advance(5_000);
    expect(await receive({ VisibilityTimeout: 0 })).toHaveLength(1);
    clock.advance(3_600_000);
    expect(await receive()).toEqual([]);
  });

  test('ends a long poll when a message arrives', async () => {
    const waiting = receive({ WaitTimeSeconds: 20 });
    await call('SendMessage', { MessageBody: 'late' });
    expect((await waiting).map((one) => one.Body)).toEqual(['late']);
  });

  test('ends a long poll without a message at its time limit', async () => {
    const waiting = receive({ WaitTimeSeconds: 2 });
    clock.advance(2_000);
    expect(await waiting).toEqual([]);
  });

  test('processes each entry of a batch separately', async () => {
    const answer = await call('SendMessageBatch', {
      Entries: [
        { Id: 'a', MessageBody: 'x' },
        { Id: 'b', MessageBody: '' },
      ],
    });
    expect(answer).toMatchObject({ Successful: [{ Id: 'a' }], Failed: [{ Id: 'b', SenderFault: true }] });
  });

  test('returns the checksums that SDKs verify', async () => {
    const sent = await call('SendMessage', {
      MessageBody: 'This is a test message',
      MessageAttributes: {
        test_attribute_name_1: { DataType: 'String', StringValue: 'test_attribute_value_1' },
      },
    });
    expect(sent.MD5OfMessageBody).toBe('fafb00f5732ab283681e124bf8747ed1');
    expect(sent.MD5OfMessageAttributes).toMatch(/^[0-9a-f]{32}$/);
  });

  test('refuses an unknown queue and an unknown operation by name', async () => {
    await expect(sqs.service.call('GetQueueUrl', { QueueName: 'none' })).rejects.toThrow(/does not exist/);
    await expect(call('AddPermission')).rejects.toThrow(/AddPermission/);
  });
});
