import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { computeProcessFields } from '../../views/compute-process.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group
    .command('get')
    .summary('show a compute process and its worker process')
    .argument('<id>', 'id of the compute process or its container');
  examples(command, 'bulkhead compute-process get 239DEF70-07A8-4CC1-B0B6-FE0BB07DB7D2').action(
    withContext<[string], object>(io, async (context, _, id) => {
      context.showItem(
        await context.client.call('getComputeProcess', { params: { id } }),
        computeProcessFields,
      );
    }),
  );
};
