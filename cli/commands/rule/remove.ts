import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addRemove = (group: Command, io: Io): void => {
  const command = group
    .command('remove')
    .alias('rm')
    .summary('remove a conversion rule, and its rule on the event bus')
    .argument('<rule>', 'name of the rule');
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead rule remove quarantine').action(
    withContext<[string], MutationOptions>(io, async (context, options, name) => {
      const body = await context.client.call('deleteConversionRule', {
        params: { name },
        ...mutationOf(options),
      });
      if (isDryRun(body)) showDryRun(context, body);
      else if (context.isJson) context.showJson({ removed: name });
      else context.showNote(`Rule "${name}" was removed.`);
    }),
  );
};
