import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { HOST_COLUMNS } from '../../views/host.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addDrain = (group: Command, io: Io): void => {
  const command = group
    .command('drain')
    .summary('stop placing containers on a host; running containers continue')
    .argument('<host>', 'id or name');
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead host drain nano-1').action(
    withContext<[string], MutationOptions>(io, async (context, options, host) => {
      const id = await hostIdOf(context, host);
      const body = await context.client.call('drainHost', { params: { id }, ...mutationOf(options) });
      if (isDryRun(body)) showDryRun(context, body);
      else context.showList(HOST_COLUMNS, [body]);
    }),
  );
};
