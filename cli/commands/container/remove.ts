import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

export const addRemove = (group: Command, io: Io): void => {
  const command = group
    .command('remove')
    .alias('rm')
    .summary('remove a container and its files (Remove-Container)')
    .argument('<container>', 'id or name')
    .option('-f, --force', 'remove it even if it is running');
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(command, 'bulkhead container remove HYPVCON', 'bulkhead container remove HYPVCON --force').action(
    withContext<[string], WaitingOptions & { readonly force?: true }>(
      io,
      async (context, options, idOrName) => {
        const { query, ...mutation } = mutationOf(options);
        const accepted = await context.client.call('removeContainer', {
          params: { idOrName },
          ...mutation,
          query: { ...query, ...(options.force === true ? { force: 'true' as const } : {}) },
        });
        await showOutcome(context, accepted, options);
      },
    ),
  );
};
