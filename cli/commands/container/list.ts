import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import type { Container } from '../../../core/contract/container.ts';
import { withContext } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { CONTAINER_COLUMN_NAMES, CONTAINER_COLUMNS, containerColumns } from '../../views/container.ts';
import { collect, examples, wholeNumber } from '../options.ts';
import { take } from '../take.ts';

interface ListOptions {
  readonly runtimeType?: string;
  readonly state?: Container['state'];
  readonly hostId?: string;
  readonly name?: string;
  readonly image?: string;
  readonly label?: string[];
  readonly select?: string;
  readonly wide?: true;
  readonly limit?: number;
}

const WIDE = 'Name,State,Uptime,ParentImageName,RuntimeType,Id';
const MAX_LIMIT = 1_000_000;

const columnsOf = ({ select, wide }: ListOptions) => {
  const names = select ?? (wide === true ? WIDE : undefined);
  if (names === undefined) return CONTAINER_COLUMNS;
  const columns = containerColumns(names.split(','));
  if (columns !== undefined) return columns;
  throw new UsageError(
    `"${names}" contains an unknown column.`,
    `Use these, separated by commas: ${CONTAINER_COLUMN_NAMES.join(', ')}.`,
  );
};

export const addList = (group: Command, io: Io): void => {
  const command = group
    .command('list')
    .alias('ls')
    .summary('list containers (Get-Container)')
    .description('List containers that match all filters. Filters ignore case.')
    .option('-r, --runtime-type <type>', 'filter by type: Default or HyperV')
    .option(
      '--state <state>',
      'filter by state: Off, Starting, Running, Stopping, Converting, Removing, Failed, Unknown',
    )
    .option('--host-id <id>', 'filter by host id')
    .option('-n, --name <name>', 'filter by name')
    .option('--image <image>', 'filter by image')
    .option('-l, --label <KEY=VALUE>', 'filter by label; can be repeated', collect)
    .option(
      '--select <columns>',
      `columns to show, separated by commas: ${CONTAINER_COLUMN_NAMES.join(', ')}`,
    )
    .option('--wide', 'also show runtime type and id')
    .option('--limit <number>', 'maximum number of containers', wholeNumber(1, MAX_LIMIT));
  examples(
    command,
    'bulkhead container list --runtime-type hyperv',
    'bulkhead container list --select ContainerName,RuntimeType',
    'bulkhead container list --label app=web --output json',
  ).action(
    withContext<[], ListOptions>(io, async (context, options) => {
      const columns = columnsOf(options);
      const { runtimeType, state, hostId, name, image, label, limit } = options;
      const query = {
        runtimeType,
        state,
        hostId,
        name,
        image,
        label,
        limit: String(Math.min(limit ?? 200, 200)),
      };
      const containers = itemsOf(context.client, 'listContainers', { query, signal: context.signal });
      context.showList(columns, await take(containers, limit));
    }),
  );
};
