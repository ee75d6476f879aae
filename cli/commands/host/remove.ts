import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addRemove = (group: Command, io: Io): void => {
  const command = group
    .command('remove')
    .alias('rm')
    .summary('remove a host without containers')
    .argument('<host>', 'id or name');
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead host remove nano-1').action(
    withContext<[string], MutationOptions>(io, async (context, options, host) => {
      const id = await hostIdOf(context, host);
      const body = await context.client.call('removeHost', { params: { id }, ...mutationOf(options) });
      if (isDryRun(body)) showDryRun(context, body);
      else if (context.isJson) context.showJson({ removed: id });
      else context.showNote(`Host "${host}" was removed.`);
    }),
  );
};
