import {
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ThrottlingException,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { describe, expect, test } from '@jest/globals';
import { mockClient } from 'aws-sdk-client-mock';
import { TooBusyError } from '../../../core/domain/errors.ts';
import { createContainer } from '../../../store/containers.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { lookUp } from '../../../store/look-up.ts';
import { ConditionFailed, createTable, keyItem } from '../../../store/table.ts';
import { newOperation } from '../../../workflow/operation/new-operation.ts';
import { createApi } from '../../helpers/api.ts';
import { containerRecord, TENANT, testId } from '../../helpers/records.ts';

/** Faults that the tests' DynamoDB engine does not have: throttling, conflicts, partial batches, lost responses. */
const setUp = () => {
  const mock = mockClient(new DynamoDBClient({ region: 'us-east-1', maxAttempts: 1 }));
  const slept: number[] = [];
  const table = createTable({
    client: mock as unknown as DynamoDBClient,
    tableName: 'table',
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
    },
    random: () => 1,
  });
  return { mock, table, slept };
};

const meta = { $metadata: {}, message: 'x' };
const throttled = () => new ThrottlingException(meta);
const cancelled = (...codes: string[]) =>
  new TransactionCanceledException({ ...meta, CancellationReasons: codes.map((Code) => ({ Code })) });
const timedOut = () => Object.assign(new TypeError('timed out'), { name: 'TimeoutError' });

/** The whole retry budget, in milliseconds: at most 1.27 s of waiting. */
const BUDGET = [10, 20, 40, 80, 160, 320, 640];

const container = containerRecord('Off', { view: { activeOperationId: testId(50) } });
const operation = newOperation(container, {
  id: testId(50),
  kind: 'create',
  actor: 'ann',
  parameters: {},
  now: new Date(0),
});
const creation = { container, operation, remember: [], token: operation.id };

describe.each([
  ['throttling', throttled],
  ['a conflict with another transaction', () => cancelled('None', 'TransactionConflict', 'None')],
  ['a throttled part of a transaction', () => cancelled('ThrottlingError', 'None', 'None')],
  ['a lost response', timedOut],
])('%s', (_, fault) => {
  test('is retried with the same transaction', async () => {
    const { mock, table, slept } = setUp();
    mock.on(TransactWriteItemsCommand).rejectsOnce(fault()).rejectsOnce(fault()).resolves({});
    await createContainer(table, creation);
    expect(slept).toEqual(BUDGET.slice(0, 2));
    const tokens = mock
      .commandCalls(TransactWriteItemsCommand)
      .map(({ args }) => args[0].input.ClientRequestToken);
    expect(tokens).toEqual([testId(50), testId(50), testId(50)]);
  });

  test('that persists exhausts the retries and is reported as too busy', async () => {
    const { mock, table, slept } = setUp();
    mock.on(TransactWriteItemsCommand).rejects(fault());
    await expect(createContainer(table, creation)).rejects.toBeInstanceOf(TooBusyError);
    expect(slept).toEqual(BUDGET);
  });
});

describe('a failed condition', () => {
  test('is not retried, and takes precedence over a conflict in the same transaction', async () => {
    const { mock, table, slept } = setUp();
    const holder = createItem('containerName', keys.containerName(TENANT, 'web'), { containerId: testId(7) });
    mock.on(TransactWriteItemsCommand).rejects(
      new TransactionCanceledException({
        ...meta,
        CancellationReasons: [
          { Code: 'TransactionConflict' },
          { Code: 'ConditionalCheckFailed', Item: holder },
        ],
      }),
    );
    await expect(createContainer(table, creation)).rejects.toMatchObject({
      code: 'name-taken',
      details: { context: { containerId: testId(7) } },
    });
    expect(slept).toEqual([]);
  });

  test('of a single write returns the existing item', async () => {
    const { mock, table } = setUp();
    mock
      .on(PutItemCommand)
      .rejects(new ConditionalCheckFailedException({ ...meta, Item: { a: { S: 'b' } } }));
    const failed = await table.put({ Item: {} }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ConditionFailed);
    expect(failed).toMatchObject({ index: 0, item: { a: { S: 'b' } } });
  });
});

describe('a partially read batch', () => {
  const link = (number: number) =>
    createItem('hostLink', keys.hostLink(TENANT, testId(number)), { connectionId: `c${number}` });
  const unprocessed = (number: number) => ({
    UnprocessedKeys: { table: { Keys: [keyItem(keys.hostLink(TENANT, testId(number)))] } },
  });
  const find = (table: ReturnType<typeof setUp>['table'], ...numbers: readonly number[]) =>
    lookUp(
      table,
      numbers.map((number) => keyItem(keys.hostLink(TENANT, testId(number)))),
    );

  test('is continued with the remaining keys after a pause', async () => {
    const { mock, table, slept } = setUp();
    mock
      .on(BatchGetItemCommand)
      .resolvesOnce({ Responses: { table: [link(1)] }, ...unprocessed(2) })
      .resolvesOnce({ Responses: { table: [link(2)] } });
    const items = await find(table, 1, 2);
    expect(items.map((item) => item?.connectionId?.S)).toEqual(['c1', 'c2']);
    expect(slept).toEqual([10]);
  });

  test('is never returned incompletely', async () => {
    const { mock, table, slept } = setUp();
    mock.on(BatchGetItemCommand).resolves({ Responses: { table: [] }, ...unprocessed(1) });
    await expect(find(table, 1)).rejects.toBeInstanceOf(TooBusyError);
    expect(slept).toEqual(BUDGET);
  });
});

describe('the API’s response', () => {
  test('is 503 with Retry-After if the retries of a read or write are exhausted', async () => {
    const { mock, table } = setUp();
    mock.on(GetItemCommand).rejects(throttled());
    const api = createApi(table);
    const answer = await api.call('getContainer', { params: { idOrName: 'a' } });
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([503, '1', 'too-busy']);
  });

  test('has no details of an error without contention, which is not retried', async () => {
    const { mock, table, slept } = setUp();
    mock
      .on(GetItemCommand)
      .rejects(Object.assign(new TypeError('arn:aws:… is not authorized'), { name: 'AccessDenied' }));
    const answer = await createApi(table).call('getContainer', { params: { idOrName: 'a' } });
    expect([answer.status, answer.body.code, slept]).toEqual([500, 'internal', []]);
    expect(answer.text).not.toContain('arn:');
  });
});
