import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { hostFields } from '../../views/host.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group.command('get').summary('show a host').argument('<host>', 'id or name');
  examples(command, 'bulkhead host get simulated-nano-server').action(
    withContext<[string], object>(io, async (context, _, host) => {
      const id = await hostIdOf(context, host);
      context.showItem(await context.client.call('getHost', { params: { id } }), hostFields);
    }),
  );
};
