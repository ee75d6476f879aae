import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { containerFields } from '../../views/container.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group
    .command('get')
    .summary('show a container with all its properties')
    .argument('<container>', 'id or name');
  examples(command, 'bulkhead container get HYPVCON', 'bulkhead container get HYPVCON --output json').action(
    withContext<[string], object>(io, async (context, _, idOrName) => {
      context.showItem(await context.client.call('getContainer', { params: { idOrName } }), containerFields);
    }),
  );
};
