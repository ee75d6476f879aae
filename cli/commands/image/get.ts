import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { imageFields } from '../../views/image.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group
    .command('get')
    .summary('show an image, with the hosts that hold it')
    .argument('<image>', 'name of the image');
  examples(command, 'bulkhead image get nanoserver').action(
    withContext<[string], object>(io, async (context, _, name) => {
      context.showItem(await context.client.call('getImage', { params: { name } }), imageFields);
    }),
  );
};
