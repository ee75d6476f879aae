import type { Command } from 'commander';
import { acting } from '../../context.ts';
import type { Io } from '../../io.ts';
import { finish } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

export const addKill = (group: Command, io: Io): void => {
  const command = group
    .command('kill')
    .summary('kill a container at once (Stop-Container -TurnOff)')
    .description('Kill the main process of a container at once.')
    .argument('<container>', 'id or name');
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(command, 'bulkhead container kill HYPVCON').action(
    acting<[string], WaitingOptions>(io, async (context, options, idOrName) => {
      const accepted = await context.client.call('killContainer', {
        params: { idOrName },
        ...mutationOf(options),
      });
      await finish(context, accepted, options);
    }),
  );
};
