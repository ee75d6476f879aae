import {
  type AttributeValue,
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  type ConsumedCapacity,
  DeleteItemCommand,
  type DeleteItemCommandInput,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  type PutItemCommandInput,
  QueryCommand,
  type QueryCommandInput,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import { TooBusyError } from '../core/domain/errors.ts';
import type { Item } from './item.ts';
import type { IndexKey, IndexName, Key } from './keys.ts';

/**
 * Typed calls of the table, with conditions distinguished from contention and with bounded retries. Scan is not used
 * anywhere.
 */

/** A condition failed. `item` is the existing item; undefined if there was none. */
export class ConditionFailed extends Error {
  override readonly name = 'ConditionFailed';
  /** Index of the failed write in the transaction, 0 for a single write. */
  readonly index: number;
  readonly item: Item | undefined;
  constructor(index: number, item: Item | undefined) {
    super(`condition ${index} failed`);
    this.index = index;
    this.item = item;
  }
}

export interface TableDependencies {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Resolves after the given milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
  /** Receives an error for each skipped unreadable item. @default the error is thrown */
  readonly onUnreadable?: (error: unknown) => void;
  /** Receives the consumed capacity of each call, for tests and benchmarks. */
  readonly onConsumed?: (operation: string, capacity: readonly ConsumedCapacity[]) => void;
}

export interface QueryOptions {
  readonly index?: IndexName;
  readonly key: IndexKey;
  /** How the sort key is compared with `key.sk`. @default any if `key.sk` is '', prefix otherwise */
  readonly sort?: 'prefix' | 'any' | 'from' | 'until';
  readonly limit?: number;
  readonly descending?: boolean;
  readonly after?: Item;
  readonly consistent?: boolean;
  readonly filter?: {
    readonly expression: string;
    readonly names?: Record<string, string>;
    readonly values?: Record<string, AttributeValue>;
  };
  /** Paths of the attributes that are read, such as `view.state`. @default all */
  readonly project?: readonly string[];
}

export interface Page {
  readonly items: readonly Item[];
  readonly after: Item | undefined;
}

type Put = Omit<PutItemCommandInput, 'TableName'>;
type Update = Omit<UpdateItemCommandInput, 'TableName'>;
type Delete = Omit<DeleteItemCommandInput, 'TableName'>;
/** One write of a transaction. The table's name and the return of old items are added here. */
export type Write =
  | { readonly put: Put }
  | { readonly update: Update }
  | { readonly remove: Delete }
  | {
      readonly check: { Key: Item; ConditionExpression: string } & Pick<
        Update,
        'ExpressionAttributeNames' | 'ExpressionAttributeValues'
      >;
    };

export interface Table {
  get(key: Key, options?: { consistent?: boolean }): Promise<Item | undefined>;
  /** Items found, in no particular order; at most 100 keys. */
  batchGet(keys: readonly Key[], options?: Pick<QueryOptions, 'project'>): Promise<readonly Item[]>;
  query(options: QueryOptions): Promise<Page>;
  put(input: Put): Promise<void>;
  /** The item after the update. */
  update(input: Update): Promise<Item>;
  remove(input: Delete): Promise<void>;
  /** Receives an error for each unreadable item that a read skips. */
  reportUnreadable(error: unknown): void;
  /**
   * All or nothing. With the same `token`, a repeat within ten minutes changes nothing.
   * @param options `retries`: maximum number of retries under contention. @default the same as for every other call
   */
  transact(writes: readonly Write[], token?: string, options?: { readonly retries?: number }): Promise<void>;
}

/**
 * Waits before each retry in milliseconds, with full jitter: at most 1.3 s in total, well within a request's time. After them the caller gets a {@link TooBusyError}.
 */
const RETRY_WAITS = [10, 20, 40, 80, 160, 320, 640];

const CONTENTION = new Set([
  'TransactionConflict',
  'ThrottlingError',
  'ProvisionedThroughputExceeded',
  'TransactionConflictException',
  'TransactionInProgressException',
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'InternalServerError',
  'ServiceUnavailable',
  'TimeoutError',
]);

const toKey = (item: Item): Key => ({ pk: item.pk?.S ?? '', sk: item.sk?.S ?? '' });
export const keyItem = (key: Key): Item => ({ pk: { S: key.pk }, sk: { S: key.sk } });

const SORT = {
  prefix: ' AND begins_with(#sk, :sk)',
  any: '',
  from: ' AND #sk >= :sk',
  until: ' AND #sk < :sk',
} as const;

/** Names in a projection have a separate prefix, because `#pk` in a condition can be an attribute of an index. */
const projection = (paths: readonly string[] | undefined) =>
  paths && {
    ProjectionExpression: paths.map((path) => path.replace(/[^.]+/g, '#p_$&')).join(', '),
    ExpressionAttributeNames: Object.fromEntries(
      paths.flatMap((path) => path.split('.')).map((name) => [`#p_${name}`, name]),
    ),
  };

const queryInput = (options: QueryOptions): Omit<QueryCommandInput, 'TableName'> => {
  const { index, key } = options;
  const sort = options.sort ?? (key.sk === '' ? 'any' : 'prefix');
  const projected = projection(options.project);
  return {
    ...projected,
    ...(index && { IndexName: index }),
    KeyConditionExpression: `#pk = :pk${SORT[sort]}`,
    ExpressionAttributeNames: {
      '#pk': index ? `${index}pk` : 'pk',
      ...(sort !== 'any' && { '#sk': index ? `${index}sk` : 'sk' }),
      ...options.filter?.names,
      ...projected?.ExpressionAttributeNames,
    },
    ExpressionAttributeValues: {
      ':pk': { S: key.pk },
      ...(sort !== 'any' && { ':sk': { S: key.sk } }),
      ...options.filter?.values,
    },
    ...(options.filter && { FilterExpression: options.filter.expression }),
    ...(options.limit && { Limit: options.limit }),
    ...(options.descending && { ScanIndexForward: false }),
    ...(options.after && { ExclusiveStartKey: options.after }),
    ...(options.consistent && { ConsistentRead: true }),
  };
};

const toTransactItem = (write: Write, TableName: string): TransactWriteItem => {
  const common = { TableName, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const;
  if ('put' in write) return { Put: { ...write.put, ...common } as TransactWriteItem['Put'] };
  if ('update' in write) return { Update: { ...write.update, ...common } as TransactWriteItem['Update'] };
  if ('remove' in write) return { Delete: { ...write.remove, ...common } as TransactWriteItem['Delete'] };
  return { ConditionCheck: { ...write.check, ...common } };
};

/** Explains a cancelled transaction: a failed condition has priority over contention, because a retry does not help. */
const explainCancellation = (error: TransactionCanceledException): Error => {
  const reasons = error.CancellationReasons ?? [];
  const failed = reasons.findIndex((reason) => reason.Code === 'ConditionalCheckFailed');
  if (failed >= 0) return new ConditionFailed(failed, reasons[failed]?.Item);
  return error;
};

const isContention = (error: unknown): boolean => {
  if (error instanceof TransactionCanceledException)
    return (error.CancellationReasons ?? []).some((reason) => CONTENTION.has(reason.Code ?? ''));
  return error instanceof Error && CONTENTION.has(error.name);
};

/** Everything but contention is thrown at once; contention is retried within the limit. */
const explain = (error: unknown): Error | null => {
  if (error instanceof ConditionalCheckFailedException) return new ConditionFailed(0, error.Item);
  if (error instanceof TransactionCanceledException) {
    const explained = explainCancellation(error);
    if (explained !== error) return explained;
  }
  if (isContention(error)) return null;
  return error instanceof Error ? error : new TooBusyError(String(error));
};

const createAttempt =
  (sleep: TableDependencies['sleep'], random: TableDependencies['random']) =>
  async <T>(call: () => Promise<T>, retries = RETRY_WAITS.length): Promise<T> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        const final = explain(error);
        if (final !== null) throw final;
        const wait = RETRY_WAITS[attempt];
        if (wait === undefined || attempt >= retries)
          throw new TooBusyError('The table is busy with the same items.', {
            cause: error,
            suggestion: 'Try again in a second.',
          });
        await sleep(wait * random());
      }
    }
  };

const throwIt = (error: unknown): never => {
  throw error;
};

export const createTable = (dependencies: TableDependencies): Table => {
  const { client, tableName: TableName, sleep, random, onConsumed, onUnreadable = throwIt } = dependencies;
  const ReturnConsumedCapacity = onConsumed ? ('INDEXES' as const) : undefined;
  const consumed = (operation: string, capacity: ConsumedCapacity | ConsumedCapacity[] | undefined): void => {
    if (capacity !== undefined) onConsumed?.(operation, Array.isArray(capacity) ? capacity : [capacity]);
  };

  const attempt = createAttempt(sleep, random);

  /** Unprocessed keys are read again after a wait. */
  const getAll = async (
    wanted: readonly Key[],
    project: QueryOptions['project'],
    waits: readonly number[],
  ): Promise<readonly Item[]> => {
    if (wanted.length === 0) return [];
    const answer = await attempt(() =>
      client.send(
        new BatchGetItemCommand({
          RequestItems: { [TableName]: { Keys: wanted.map(keyItem), ...projection(project) } },
          ReturnConsumedCapacity,
        }),
      ),
    );
    consumed('BatchGetItem', answer.ConsumedCapacity);
    const found = answer.Responses?.[TableName] ?? [];
    const left = (answer.UnprocessedKeys?.[TableName]?.Keys ?? []).map(toKey);
    if (left.length === 0) return found;
    const [wait, ...further] = waits;
    if (wait === undefined)
      throw new TooBusyError('The table did not return all items.', { suggestion: 'Try again in a second.' });
    await sleep(wait * random());
    return [...found, ...(await getAll(left, project, further))];
  };

  return {
    reportUnreadable: onUnreadable,

    get: (key, options = {}) =>
      attempt(async () => {
        const answer = await client.send(
          new GetItemCommand({
            TableName,
            Key: keyItem(key),
            ConsistentRead: options.consistent,
            ReturnConsumedCapacity,
          }),
        );
        consumed('GetItem', answer.ConsumedCapacity);
        return answer.Item;
      }),

    batchGet: (keys, { project } = {}) => getAll(keys, project, RETRY_WAITS),

    query: (options) =>
      attempt(async () => {
        const answer = await client.send(
          new QueryCommand({ TableName, ...queryInput(options), ReturnConsumedCapacity }),
        );
        consumed('Query', answer.ConsumedCapacity);
        return { items: answer.Items ?? [], after: answer.LastEvaluatedKey };
      }),

    put: (input) =>
      attempt(async () => {
        const answer = await client.send(
          new PutItemCommand({
            TableName,
            ...input,
            ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
            ReturnConsumedCapacity,
          }),
        );
        consumed('PutItem', answer.ConsumedCapacity);
      }),

    update: (input) =>
      attempt(async () => {
        const answer = await client.send(
          new UpdateItemCommand({
            TableName,
            ...input,
            ReturnValues: 'ALL_NEW',
            ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
            ReturnConsumedCapacity,
          }),
        );
        consumed('UpdateItem', answer.ConsumedCapacity);
        return answer.Attributes ?? {};
      }),

    remove: (input) =>
      attempt(async () => {
        const answer = await client.send(
          new DeleteItemCommand({
            TableName,
            ...input,
            ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
            ReturnConsumedCapacity,
          }),
        );
        consumed('DeleteItem', answer.ConsumedCapacity);
      }),

    transact: (writes, token, { retries } = {}) =>
      attempt(async () => {
        const answer = await client.send(
          new TransactWriteItemsCommand({
            TransactItems: writes.map((write) => toTransactItem(write, TableName)),
            ClientRequestToken: token,
            ReturnConsumedCapacity,
          }),
        );
        consumed('TransactWriteItems', answer.ConsumedCapacity);
      }, retries),
  };
};
