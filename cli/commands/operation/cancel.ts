import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { OPERATION_COLUMNS } from '../../views/operation.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addCancel = (group: Command, io: Io): void => {
  const command = group
    .command('cancel')
    .summary('cancel an operation and undo what it has done')
    .argument('<id>', 'id of the operation');
  addMutationOptions(command, { ifMatch: false });
  examples(command, 'bulkhead operation cancel 2f6c1d1e-3b5e-4b3c-9d49-5a1c1f0a7d11').action(
    withContext<[string], MutationOptions>(io, async (context, options, id) => {
      const body = await context.client.call('cancelOperation', { params: { id }, ...mutationOf(options) });
      if (isDryRun(body)) showDryRun(context, body);
      else context.showList(OPERATION_COLUMNS, [body]);
    }),
  );
};
