import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

export const addStop = (group: Command, io: Io): void => {
  const command = group
    .command('stop')
    .summary('kill a compute process (Stop-ComputeProcess)')
    .argument('<id>', 'id of the compute process or its container');
  addWaitOption(addMutationOptions(command, { ifMatch: false }));
  examples(command, 'bulkhead compute-process stop 239DEF70-07A8-4CC1-B0B6-FE0BB07DB7D2').action(
    withContext<[string], WaitingOptions>(io, async (context, options, id) => {
      const accepted = await context.client.call('stopComputeProcess', {
        params: { id },
        ...mutationOf(options),
      });
      await showOutcome(context, accepted, options);
    }),
  );
};
