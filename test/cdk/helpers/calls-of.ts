import { buildSync } from 'esbuild';
import type { ConnectionMethod, FunctionSpec, TableAction, TaskAnswer } from '../../../lib/function-specs.ts';

export type Calls = Pick<
  FunctionSpec,
  'table' | 'indexes' | 'answersTasks' | 'connections' | 'publishesEvents' | 'managesRules'
> & {
  readonly startsExecutions: boolean;
};

const SINGLE: Readonly<Record<string, TableAction>> = {
  get: 'GetItem',
  batchGet: 'BatchGetItem',
  put: 'PutItem',
  update: 'UpdateItem',
  remove: 'DeleteItem',
};
const IN_TRANSACTION: Readonly<Record<string, TableAction>> = {
  put: 'PutItem',
  update: 'UpdateItem',
  remove: 'DeleteItem',
  check: 'ConditionCheckItem',
};
const ANSWERS: Readonly<Record<string, TaskAnswer>> = {
  succeed: 'SendTaskSuccess',
  fail: 'SendTaskFailure',
  heartbeat: 'SendTaskHeartbeat',
};

const ON_CONNECTIONS: Readonly<Record<string, ConnectionMethod>> = { post: 'POST', close: 'DELETE' };

const found = <T>(text: string, pattern: RegExp, names: Readonly<Record<string, T>>): T[] =>
  [...text.matchAll(pattern)].flatMap(([, name = '']) => names[name] ?? []);

/** Removes the adapters, which contain the calls of all functions. */
const withoutAdapters = (text: string): string =>
  text.replace(/^var (createTable|toTransactItem|createTasks) = [\s\S]*?^};$/gm, '');

const sorted = <T extends string>(values: readonly T[]): T[] => [...new Set(values)].sort();

/**
 * The calls that a function can make, found in its code. The code is bundled as it is deployed, so that it contains
 * only reachable code. This relies on how calls are written: `table.get(…)`, `{ put: … }` in a transaction, `index:
 * 'gsi1'` in a query, `tasks.fail(…)`, `connections.post(…)`. Calls in any other form are not found.
 */
export const callsOf = (entry: string): Calls => {
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'silent',
  });
  const text = outputFiles[0]?.text ?? '';
  // A function without a DynamoDB client never makes the calls of the shared code.
  const own = text.includes('new DynamoDBClient(') ? withoutAdapters(text) : '';
  const queriesTable = /\b(query\(\{\s*key|source: \{\s*shards)\b/.test(own);
  return {
    table: sorted([
      ...found(own, /\btable\d*\.(\w+)\(/g, SINGLE),
      ...found(own, /\b(put|update|remove|check): \{\s*(?:Item|Key)\b/g, IN_TRANSACTION),
      ...(queriesTable ? (['Query'] as const) : []),
    ]),
    indexes: sorted(
      [...own.matchAll(/\bindex: "(gsi[1-4])"/g)].map(
        ([, index]) => index as FunctionSpec['indexes'][number],
      ),
    ),
    answersTasks: sorted(found(own, /\btasks\d*\.(\w+)\(/g, ANSWERS)),
    connections: sorted(found(text, /\bconnections\d*\.(post|close)\(/g, ON_CONNECTIONS)),
    publishesEvents: text.includes('new PutEventsCommand('),
    managesRules: text.includes('new PutRuleCommand('),
    startsExecutions: text.includes('new StartExecutionCommand('),
  };
};
