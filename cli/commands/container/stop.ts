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

export const addStop = (group: Command, io: Io): void => {
  const command = group
    .command('stop')
    .summary('stop a container (Stop-Container)')
    .description('Stop a container: ask its main process to end, wait, then force it.')
    .argument('<container>', 'id or name')
    .option('-t, --timeout <seconds>', 'between asking and forcing; 10 unless told', wholeNumber(0, 600));
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(command, 'bulkhead container stop HYPVCON', 'bulkhead container stop HYPVCON --timeout 60').action(
    acting<[string], WaitingOptions & { readonly timeout?: number }>(
      io,
      async (context, options, idOrName) => {
        const body = options.timeout === undefined ? {} : { timeoutSeconds: options.timeout };
        const accepted = await context.client.call('stopContainer', {
          params: { idOrName },
          body,
          ...mutationOf(options),
        });
        await finish(context, accepted, options);
      },
    ),
  );
};
