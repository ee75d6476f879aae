import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

export const addKill = (group: Command, io: Io): void => {
  const command = group
    .command('kill')
    .summary('kill a container immediately (Stop-Container -TurnOff)')
    .description('Kill the main process of a container immediately.')
    .argument('<container>', 'id or name');
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(command, 'bulkhead container kill HYPVCON').action(
    withContext<[string], WaitingOptions>(io, async (context, options, idOrName) => {
      const accepted = await context.client.call('killContainer', {
        params: { idOrName },
        ...mutationOf(options),
      });
      await showOutcome(context, accepted, options);
    }),
  );
};
