import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { operationFields } from '../../views/operation.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group
    .command('get')
    .summary('show an operation, with its steps')
    .argument('<id>', 'id of the operation');
  examples(command, 'bulkhead operation get 2f6c1d1e-3b5e-4b3c-9d49-5a1c1f0a7d11').action(
    withContext<[string], object>(io, async (context, _, id) => {
      context.showItem(await context.client.call('getOperation', { params: { id } }), operationFields);
    }),
  );
};
