import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { operationFields } from '../../views/operation.ts';
import { waitWithProgress } from '../accepted.ts';
import { examples } from '../options.ts';

export const addWait = (group: Command, io: Io): void => {
  const command = group
    .command('wait')
    .summary('wait until an operation ends, and show its steps')
    .argument('<id>', 'id of the operation');
  examples(command, 'bulkhead operation wait 2f6c1d1e-3b5e-4b3c-9d49-5a1c1f0a7d11').action(
    withContext<[string], object>(io, async (context, _, id) => {
      const operation = await context.client.call('getOperation', { params: { id } });
      context.showItem(await waitWithProgress(context, operation), operationFields);
    }),
  );
};
