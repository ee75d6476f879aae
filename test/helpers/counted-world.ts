import { ENTITY_ATTRIBUTE } from '../../core/contract/deployment.ts';
import { createProcessChangesHandler } from '../../functions/process-changes/handler.ts';
import { createDynamoClient } from '../../local/dynamodb/dynamo-client.ts';
import { asRecord, asString, type JsonObject } from '../../local/template/json.ts';
import { createApi } from './api.ts';
import { openWorld } from './control-plane-world.ts';
import type { Engine } from './dynoxide.ts';
import { UNLIMITED } from './http-function.ts';

/** Entities whose changes invoke `process-changes`, as in the filters of its trigger (`lib/constructs/events.ts`). */
const PUBLISHED = ['container', 'operation', 'host', 'image', 'session', 'refusedCommand'];
const WRITES = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'];

/** The cost of some work on AWS, as counts. */
export interface Moves {
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Functions that were invoked. */
  readonly functions: number;
  /** States that executions of Step Functions entered. */
  readonly transitions: number;
  /** Messages over the WebSocket API, in both directions. */
  readonly messages: number;
  /** Events on the bus. */
  readonly events: number;
}

/** The table's stream. Each call reads it to its end. */
export const openStream = async (endpoint: string, tableName: string) => {
  const client = createDynamoClient(endpoint);
  const { Table } = await client.call('DescribeTable', { TableName: tableName });
  const StreamArn = asString(asRecord(Table).LatestStreamArn) ?? '';
  const { StreamDescription } = await client.call('Streams.DescribeStream', { StreamArn });
  const shards = asRecord(StreamDescription).Shards as JsonObject[];
  const iterators = await Promise.all(
    shards.map(async ({ ShardId }) => {
      const given = { StreamArn, ShardId: ShardId ?? null, ShardIteratorType: 'TRIM_HORIZON' };
      return (await client.call('Streams.GetShardIterator', given)).ShardIterator;
    }),
  );
  return {
    read: async (): Promise<JsonObject[]> => {
      const found: JsonObject[] = [];
      for (const [index, ShardIterator] of iterators.entries()) {
        if (!ShardIterator) continue;
        const { Records, NextShardIterator } = await client.call('Streams.GetRecords', { ShardIterator });
        iterators[index] = NextShardIterator;
        found.push(...(Records as JsonObject[]));
      }
      return found;
    },
    close: () => client.close(),
  };
};

const isPublished = (record: JsonObject): boolean => {
  const { NewImage, OldImage } = asRecord(record.dynamodb);
  const entity = asRecord(asRecord(NewImage ?? OldImage)[ENTITY_ATTRIBUTE]);
  return PUBLISHED.includes(asString(entity.S) ?? '');
};

/** The control plane with its API and the functions of its stream, whose cost is counted. */
export const openCountedWorld = async (engine: Engine) => {
  const engineTable = await engine.table({ stream: true });
  const { table, name, consumed } = engineTable;
  const stream = await openStream(engine.endpoint, name);
  const invoked: string[] = [];
  let events = 0;
  let pushed = 0;
  const world = openWorld(engineTable, {
    onInvoke: (function_) => invoked.push(function_),
    onPush: () => {
      pushed += 1;
    },
    processChanges: async () => {
      const records = (await stream.read()).filter(isPublished);
      if (records.length === 0) return false;
      invoked.push('process-changes');
      const { batchItemFailures } = await changes({ Records: records });
      if (batchItemFailures.length > 0) throw new TypeError('A change was not processed');
      return true;
    },
  });
  const changes = createProcessChangesHandler({
    ...{ table, tasks: world.tasks, logger: world.deps.logger, now: world.deps.now },
    publish: async (records) => {
      events += records.length;
      return [];
    },
    startWorkflow: async (operation) => world.tasks.start(operation),
  });
  const api = createApi(table, UNLIMITED, { push: world.deps.push });
  return {
    world,
    tableName: name,
    stop: () => stream.close(),
    call: (...given: Parameters<typeof api.call>) => {
      invoked.push(given[0]);
      api.clock.ms = world.clock.now;
      return api.call(...given);
    },
    /** Runs some work and everything that it triggers. */
    count: async (work: () => Promise<unknown>): Promise<Moves & { invoked: readonly string[] }> => {
      await world.settle();
      consumed.reset();
      invoked.length = 0;
      world.tasks.transitions = 0;
      [events, pushed] = [0, 0];
      await work();
      await world.settle();
      const units = (isWrite: boolean) =>
        consumed
          .calls()
          .filter(({ operation }) => WRITES.includes(operation) === isWrite)
          .reduce((sum, call) => sum + call.units, 0);
      return {
        writeUnits: units(true),
        readUnits: units(false),
        functions: invoked.length,
        transitions: world.tasks.transitions,
        messages: pushed + invoked.filter((name) => name === 'host-message').length,
        events,
        invoked: [...invoked],
      };
    },
  };
};
