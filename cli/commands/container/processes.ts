import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { processColumns } from '../../views/compute-process.ts';
import { examples } from '../options.ts';

export const addProcesses = (group: Command, io: Io): void => {
  const command = group
    .command('processes')
    .alias('ps')
    .summary('list the processes inside a container (Get-Process)')
    .argument('<container>', 'id or name');
  examples(command, 'bulkhead container processes HYPVCON').action(
    withContext<[string], object>(io, async (context, _, idOrName) => {
      const { items } = await context.client.call('listContainerProcesses', { params: { idOrName } });
      context.showList(processColumns(items), items);
    }),
  );
};
