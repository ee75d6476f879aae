import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

export const addStart = (group: Command, io: Io): void => {
  const command = group
    .command('start')
    .summary('start a container (Start-Container)')
    .description('Start a container. Has no effect if it is already running.')
    .argument('<container>', 'id or name');
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(command, 'bulkhead container start HYPVCON').action(
    withContext<[string], WaitingOptions>(io, async (context, options, idOrName) => {
      const accepted = await context.client.call('startContainer', {
        params: { idOrName },
        ...mutationOf(options),
      });
      await showOutcome(context, accepted, options);
    }),
  );
};
