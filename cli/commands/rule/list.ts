import type { Command } from 'commander';
import { itemsOf } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { RULE_COLUMNS } from '../../views/rule.ts';
import { examples } from '../options.ts';
import { take } from '../take.ts';

export const addList = (group: Command, io: Io): void => {
  const command = group.command('list').alias('ls').summary('list conversion rules, by name');
  examples(command, 'bulkhead rule list').action(
    withContext<[], object>(io, async (context) => {
      const { client, signal } = context;
      context.showList(
        RULE_COLUMNS,
        await take(itemsOf(client, 'listConversionRules', { query: { limit: '200' }, signal })),
      );
    }),
  );
};
