import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { HOST_COLUMNS } from '../../views/host.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, type MutationOptions, mutationOf } from '../options.ts';

export const addLost = (group: Command, io: Io): void => {
  const command = group
    .command('lost')
    .summary('declare that a host is off and will not return')
    .argument('<host>', 'id or name')
    .option('-f, --force', 'even if its agent seems to be connected: this cannot be undone');
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead host lost nano-1', 'bulkhead host remove nano-1 --force').action(
    withContext<[string], MutationOptions & { readonly force?: true }>(io, async (context, options, host) => {
      const id = await hostIdOf(context, host);
      const { query, ...mutation } = mutationOf(options);
      const body = await context.client.call('declareHostLost', {
        params: { id },
        ...mutation,
        query: { ...query, ...(options.force === true ? { force: 'true' as const } : {}) },
      });
      if (isDryRun(body)) showDryRun(context, body);
      else context.showList(HOST_COLUMNS, [body]);
    }),
  );
};
