import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { HOST_COLUMNS } from '../../views/host.ts';
import { examples } from '../options.ts';
import { take } from '../take.ts';

export const addList = (group: Command, io: Io): void => {
  const command = group
    .command('list')
    .alias('ls')
    .summary('list hosts, with capabilities and free capacity');
  examples(command, 'bulkhead host list').action(
    withContext<[], object>(io, async (context) => {
      const hosts = itemsOf(context.client, 'listHosts', { query: { limit: '200' }, signal: context.signal });
      context.showList(HOST_COLUMNS, await take(hosts));
    }),
  );
};
