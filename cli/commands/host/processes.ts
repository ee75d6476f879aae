import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { processColumns } from '../../views/compute-process.ts';
import { examples } from '../options.ts';

export const addProcesses = (group: Command, io: Io): void => {
  const command = group
    .command('processes')
    .alias('ps')
    .summary('list the processes on a host (Get-Process on the host)')
    .argument('<host>', 'id or name');
  examples(command, 'bulkhead host processes nano-1').action(
    withContext<[string], object>(io, async (context, _, host) => {
      const id = await hostIdOf(context, host);
      const { items } = await context.client.call('listHostProcesses', { params: { id } });
      context.showList(processColumns(items), items);
    }),
  );
};
