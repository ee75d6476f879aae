import type { Command } from 'commander';
import { acting } from '../../context.ts';
import type { Io } from '../../io.ts';
import { finish } from '../accepted.ts';
import {
  addMutationOptions,
  addWaitOption,
  examples,
  mutationOf,
  type WaitingOptions,
  wholeNumber,
} from '../options.ts';

export const addRestart = (group: Command, io: Io): void => {
  const command = group
    .command('restart')
    .summary('stop a container and start it again')
    .description('Stop a container and start it again where it is.')
    .argument('<container>', 'id or name')
    .option('-t, --timeout <seconds>', 'between asking and forcing; 10 unless told', wholeNumber(0, 600));
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(
    command,
    'bulkhead container restart HYPVCON',
    'bulkhead container restart HYPVCON --timeout 60',
  ).action(
    acting<[string], WaitingOptions & { readonly timeout?: number }>(
      io,
      async (context, options, idOrName) => {
        const body = options.timeout === undefined ? {} : { timeoutSeconds: options.timeout };
        const accepted = await context.client.call('restartContainer', {
          params: { idOrName },
          body,
          ...mutationOf(options),
        });
        await finish(context, accepted, options);
      },
    ),
  );
};
