import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import {
  addMutationOptions,
  addWaitOption,
  examples,
  mutationOf,
  type WaitingOptions,
  wholeNumber,
} from '../options.ts';

interface Stopping {
  readonly name: 'stop' | 'restart';
  readonly operation: 'stopContainer' | 'restartContainer';
  readonly summary: string;
  readonly description: string;
}

const addStopping = (group: Command, io: Io, { name, operation, summary, description }: Stopping): void => {
  const command = group
    .command(name)
    .summary(summary)
    .description(description)
    .argument('<container>', 'id or name')
    .option(
      '-t, --timeout <seconds>',
      'time between the stop signal and SIGKILL; default: 10',
      wholeNumber(0, 600),
    );
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  const example = `bulkhead container ${name} HYPVCON`;
  examples(command, example, `${example} --timeout 60`).action(
    withContext<[string], WaitingOptions & { readonly timeout?: number }>(
      io,
      async (context, options, idOrName) => {
        const body = options.timeout === undefined ? {} : { timeoutSeconds: options.timeout };
        const request = { params: { idOrName }, body, ...mutationOf(options) };
        await showOutcome(context, await context.client.call(operation, request), options);
      },
    ),
  );
};

export const addStop = (group: Command, io: Io): void =>
  addStopping(group, io, {
    name: 'stop',
    operation: 'stopContainer',
    summary: 'stop a container (Stop-Container)',
    description: 'Stop a container: send the stop signal, wait, then kill it.',
  });

export const addRestart = (group: Command, io: Io): void =>
  addStopping(group, io, {
    name: 'restart',
    operation: 'restartContainer',
    summary: 'stop a container and start it again',
    description: 'Stop a container and start it again on its host.',
  });
