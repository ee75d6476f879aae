import { DynamoDBClient, GetItemCommand, TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb';
import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { describe, expect, test } from '@jest/globals';
import { HttpResponse } from '@smithy/core/protocols';
import { METRIC_NAMESPACE, METRICS } from '../../../core/contract/deployment.ts';
import { createMetrics } from '../../../functions/shared/observability/metrics.ts';
import { noteLimits } from '../../../functions/shared/observability/note-limits.ts';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const error = (name: string, status = 400, more: object = {}): Answer => ({
  status,
  body: { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'no', ...more },
});
const OK: Answer = { status: 200, body: {} };

/** A client whose service gives the answers in order, and the lines that its metrics write. */
const setUp = (answers: readonly Answer[]) => {
  const lines: string[] = [];
  const given = [...answers];
  const handle = async () => {
    const { status, body } = given.shift() ?? OK;
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return { response: new HttpResponse({ statusCode: status, headers: {}, body: bytes }) };
  };
  const metrics = createMetrics({ now: () => new Date(5), write: (line) => lines.push(line) });
  const options = {
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 2,
    requestHandler: { handle },
  };
  return {
    table: noteLimits(new DynamoDBClient(options), metrics),
    states: noteLimits(new SFNClient(options), metrics),
    counted: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
};

const get = new GetItemCommand({ TableName: 't', Key: { pk: { S: 'a' } } });
const write = new TransactWriteItemsCommand({ TransactItems: [] });

describe('a call of a service', () => {
  test('that was throttled counts, although the retry succeeded', async () => {
    const { table, counted } = setUp([error('ThrottlingException'), OK]);
    await table.send(get);
    expect(counted()).toEqual([
      {
        _aws: {
          Timestamp: 5,
          CloudWatchMetrics: [
            {
              Namespace: METRIC_NAMESPACE,
              Dimensions: [[]],
              Metrics: [{ Name: METRICS.limitReached, Unit: 'Count' }],
            },
          ],
        },
        commandName: 'GetItemCommand',
        codes: 'ThrottlingException',
        [METRICS.limitReached]: 1,
      },
    ]);
  });

  test('that failed inside the service counts once for each attempt', async () => {
    const { table, counted } = setUp([error('InternalServerError', 500), error('InternalServerError', 500)]);
    await expect(table.send(get)).rejects.toThrow('no');
    expect(counted()).toHaveLength(2);
  });

  test('whose transaction was throttled counts, without its items', async () => {
    const reasons = [{ Code: 'None' }, { Code: 'ThrottlingError', Item: { secret: { S: 'x' } } }];
    const { table, counted } = setUp([
      error('TransactionCanceledException', 400, { CancellationReasons: reasons }),
    ]);
    await expect(table.send(write)).rejects.toThrow('no');
    expect(counted()).toMatchObject([{ codes: 'TransactionCanceledException None ThrottlingError' }]);
    expect(JSON.stringify(counted())).not.toContain('secret');
  });

  test('of Step Functions that was throttled counts', async () => {
    const { states, counted } = setUp([error('ThrottlingException'), OK]);
    await states.send(new StartExecutionCommand({ stateMachineArn: 'arn', name: 'n', input: '{}' }));
    expect(counted()).toMatchObject([{ commandName: 'StartExecutionCommand' }]);
  });

  test.each([
    ['a condition that was not met', error('ConditionalCheckFailedException')],
    [
      'a conflict of transactions',
      error('TransactionCanceledException', 400, { CancellationReasons: [{ Code: 'TransactionConflict' }] }),
    ],
    ['a missing table', error('ResourceNotFoundException')],
  ])('does not count for %s', async (_, answer) => {
    const { table, counted } = setUp([answer]);
    await expect(table.send(write)).rejects.toThrow('no');
    expect(counted()).toEqual([]);
  });
});
