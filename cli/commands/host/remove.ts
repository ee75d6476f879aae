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
    .summary('remove a host')
    .argument('<host>', 'id or name')
    .option(
      '-f, --force',
      'remove its containers too, if its agent has not been connected for the time of the lease',
    );
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead host remove nano-1', 'bulkhead host remove nano-1 --force').action(
    withContext<[string], MutationOptions & { readonly force?: true }>(io, async (context, options, host) => {
      const id = await hostIdOf(context, host);
      const { query, ...mutation } = mutationOf(options);
      const body = await context.client.call('removeHost', {
        params: { id },
        ...mutation,
        query: { ...query, ...(options.force === true ? { force: 'true' as const } : {}) },
      });
      if (isDryRun(body)) showDryRun(context, body);
      else if (context.isJson) context.showJson({ removed: id });
      else context.showNote(`Host "${host}" was removed.`);
    }),
  );
};
