import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { COMPUTE_PROCESS_COLUMNS } from '../../views/compute-process.ts';
import { examples } from '../options.ts';
import { take } from '../take.ts';

export const addList = (group: Command, io: Io): void => {
  const command = group
    .command('list')
    .alias('ls')
    .summary('list compute processes (Get-ComputeProcess)')
    .option('--host-id <id>', 'filter by host id');
  examples(command, 'bulkhead compute-process list').action(
    withContext<[], { readonly hostId?: string }>(io, async (context, { hostId }) => {
      const query = { hostId, limit: '200' };
      const all = itemsOf(context.client, 'listComputeProcesses', { query, signal: context.signal });
      context.showList(COMPUTE_PROCESS_COLUMNS, await take(all));
    }),
  );
};
