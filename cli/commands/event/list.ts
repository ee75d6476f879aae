import type { Command } from 'commander';
import { endOfEvents, readEvents } from '../../../core/client/index.ts';
import type { Event } from '../../../core/contract/event.ts';
import { type Context, withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { escapeControls } from '../../output/text.ts';
import { EVENT_COLUMNS, eventLine } from '../../views/event.ts';
import { collect, examples, wholeNumber } from '../options.ts';

interface ListOptions {
  readonly follow?: true;
  readonly type?: string[];
  readonly resource?: string;
  readonly limit: number;
}

const NEWEST = 50;

const matcher =
  ({ type, resource }: ListOptions) =>
  (event: Event): boolean =>
    (type === undefined || type.some((one) => one.toLowerCase() === event.type.toLowerCase())) &&
    (resource === undefined || event.resource.id === resource || event.resource.name === resource);

const followEvents = async (context: Context, matches: (event: Event) => boolean): Promise<void> => {
  const { client, signal } = context;
  try {
    const cursor = await endOfEvents(client, signal);
    for await (const event of readEvents(client, { cursor, follow: true, signal }))
      if (matches(event))
        context.write(`${context.isJson ? JSON.stringify(event) : escapeControls(eventLine(event))}\n`);
  } catch (error) {
    // Ctrl-C is the normal way to stop following.
    if (!signal.aborted) throw error;
  }
};

export const addList = (group: Command, io: Io): void => {
  const command = group
    .command('list')
    .alias('ls')
    .summary('list events in order')
    .description(
      'List the newest events, the oldest of them first. With --follow, show only new events, as they occur.',
    )
    .option('-f, --follow', 'show only new events, until Ctrl-C')
    .option('--type <type>', 'filter by type, such as "Container State Changed"; can be repeated', collect)
    .option('--resource <id>', 'filter by id or name of a container, host, image or operation')
    .option('--limit <number>', 'number of newest events', wholeNumber(1, 100_000), NEWEST);
  examples(
    command,
    'bulkhead event list --resource web',
    'bulkhead event list --follow --output json',
  ).action(
    withContext<[], ListOptions>(io, async (context, options) => {
      const matches = matcher(options);
      if (options.follow === true) return followEvents(context, matches);
      const kept: Event[] = [];
      for await (const event of readEvents(context.client, { signal: context.signal })) {
        if (!matches(event)) continue;
        kept.push(event);
        if (kept.length > options.limit) kept.shift();
      }
      context.showList(EVENT_COLUMNS, kept);
    }),
  );
};
