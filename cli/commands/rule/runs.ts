import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { RUN_COLUMNS, RUN_ITEM_COLUMNS } from '../../views/rule.ts';
import { examples, wholeNumber } from '../options.ts';
import { take } from '../take.ts';

interface RunsOptions {
  readonly limit: number;
  readonly containers?: true;
}

const NEWEST = 20;

export const addRuns = (group: Command, io: Io): void => {
  const command = group
    .command('runs')
    .summary('list the runs of a rule, newest first')
    .argument('<rule>', 'name of the rule')
    .option('-c, --containers', 'show the containers of the newest run, with reasons')
    .option('--limit <number>', 'maximum number of runs', wholeNumber(1, 100_000), NEWEST);
  examples(command, 'bulkhead rule runs quarantine', 'bulkhead rule runs quarantine --containers').action(
    withContext<[string], RunsOptions>(io, async (context, { limit, containers }, name) => {
      const query = { limit: String(Math.min(limit, 200)) };
      const all = itemsOf(context.client, 'listConversionRuleRuns', {
        params: { name },
        query,
        signal: context.signal,
      });
      const runs = await take(all, containers === true ? 1 : limit);
      if (containers === true) context.showList(RUN_ITEM_COLUMNS, runs[0]?.containers ?? []);
      else context.showList(RUN_COLUMNS, runs);
    }),
  );
};
