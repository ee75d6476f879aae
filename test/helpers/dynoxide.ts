import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConsumedCapacity,
  CreateTableCommand,
  DynamoDBClient,
  ListTablesCommand,
} from '@aws-sdk/client-dynamodb';
import { createTable, type Table, type TableDependencies } from '../../store/table.ts';
import { tableDefinition } from './table-definition.ts';

/** A DynamoDB engine in memory, for one test file. */
export interface Engine {
  readonly endpoint: string;
  readonly client: DynamoDBClient;
  /** A new table with the keys and indexes of the stack. */
  table(options?: TableOptions): Promise<EngineTable>;
  stop(): Promise<void>;
}

interface TableOptions extends Pick<TableDependencies, 'onUnreadable'> {
  readonly stream?: boolean;
}

export interface EngineTable {
  readonly table: Table;
  readonly name: string;
  /** The consumed capacity of each call since the last `reset`. */
  readonly consumed: Consumed;
}

export interface Consumed {
  /** Request units of all calls, including those for indexes. */
  readonly total: () => number;
  readonly calls: () => readonly { readonly operation: string; readonly units: number }[];
  readonly reset: () => void;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const countConsumed = (): Consumed & {
  readonly add: (operation: string, capacity: readonly ConsumedCapacity[]) => void;
} => {
  let calls: { operation: string; units: number }[] = [];
  return {
    add: (operation, capacity) =>
      calls.push({ operation, units: capacity.reduce((sum, one) => sum + (one.CapacityUnits ?? 0), 0) }),
    total: () => calls.reduce((sum, { units }) => sum + units, 0),
    calls: () => calls,
    reset: () => {
      calls = [];
    },
  };
};

/** Starts an engine on a free port. Resolves when it accepts requests. */
export const startEngine = async (): Promise<Engine> => {
  const manifest = createRequire(import.meta.url).resolve('@dynoxide/linux-x64/package.json');
  const port = await freePort();
  const child = spawn(join(dirname(manifest), 'dynoxide'), ['serve', '--port', String(port)], {
    stdio: 'ignore',
  });
  // The engine must not survive a test run that is killed.
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await client.send(new ListTablesCommand({ Limit: 1 }));
      break;
    } catch (error) {
      if (attempt === 500 || child.exitCode !== null) throw error;
      await sleep(10);
    }
  }
  let tables = 0;
  return {
    endpoint,
    client,
    table: async ({ onUnreadable, stream = false } = {}) => {
      tables += 1;
      const name = `bulkhead-${tables}`;
      const StreamSpecification = { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } as const;
      await client.send(
        new CreateTableCommand({ ...tableDefinition(name), ...(stream && { StreamSpecification }) }),
      );
      const { add, ...consumed } = countConsumed();
      const table = createTable({
        client,
        tableName: name,
        sleep: (milliseconds) => sleep(milliseconds),
        random: Math.random,
        onConsumed: add,
        ...(onUnreadable && { onUnreadable }),
      });
      return { table, name, consumed };
    },
    stop: async () => {
      client.destroy();
      const exited = new Promise((resolve) => child.once('exit', resolve));
      end();
      await exited;
      process.removeListener('exit', end);
    },
  };
};
