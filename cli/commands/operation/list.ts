import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import type { Operation } from '../../../core/contract/operation.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { OPERATION_COLUMNS } from '../../views/operation.ts';
import { examples, wholeNumber } from '../options.ts';
import { take } from '../take.ts';

interface ListOptions {
  readonly container?: string;
  readonly state?: Operation['state'];
  readonly limit: number;
}

const NEWEST = 20;

export const addList = (group: Command, io: Io): void => {
  const command = group
    .command('list')
    .alias('ls')
    .summary('list operations, newest first')
    .option('-c, --container <container>', 'filter by container; id or name')
    .option('--state <state>', 'filter by state: Pending, Running, Cancelling, Succeeded, Failed, Cancelled')
    .option('--limit <number>', 'maximum number of operations', wholeNumber(1, 100_000), NEWEST);
  examples(
    command,
    'bulkhead operation list --state Failed',
    'bulkhead operation list --container web',
  ).action(
    withContext<[], ListOptions>(io, async (context, { container, state, limit }) => {
      const { client, signal } = context;
      const containerId =
        container === undefined
          ? undefined
          : (await client.call('getContainer', { params: { idOrName: container } })).id;
      const query = { containerId, state, limit: String(Math.min(limit, 200)) };
      context.showList(
        OPERATION_COLUMNS,
        await take(itemsOf(client, 'listOperations', { query, signal }), limit),
      );
    }),
  );
};
