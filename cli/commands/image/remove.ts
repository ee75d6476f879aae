import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addRemove = (group: Command, io: Io): void => {
  const command = group
    .command('remove')
    .alias('rm')
    .summary('remove an image that no container uses (Remove-ContainerImage)')
    .argument('<image>', 'name of the image');
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead image remove web').action(
    withContext<[string], MutationOptions>(io, async (context, options, name) => {
      const body = await context.client.call('removeImage', { params: { name }, ...mutationOf(options) });
      if (isDryRun(body)) showDryRun(context, body);
      else if (context.isJson) context.showJson({ removed: name });
      else context.showNote(`Image "${name}" was removed.`);
    }),
  );
};
