import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { IMAGE_COLUMNS } from '../../views/image.ts';
import { examples } from '../options.ts';
import { take } from '../take.ts';

export const addList = (group: Command, io: Io): void => {
  const command = group.command('list').alias('ls').summary('list images (Get-ContainerImage)');
  examples(command, 'bulkhead image list').action(
    withContext<[], object>(io, async (context) => {
      const images = itemsOf(context.client, 'listImages', {
        query: { limit: '200' },
        signal: context.signal,
      });
      context.showList(IMAGE_COLUMNS, await take(images));
    }),
  );
};
