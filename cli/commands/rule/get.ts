import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { ruleFields } from '../../views/rule.ts';
import { examples } from '../options.ts';

export const addGet = (group: Command, io: Io): void => {
  const command = group
    .command('get')
    .summary('show a conversion rule')
    .argument('<rule>', 'name of the rule');
  examples(command, 'bulkhead rule get quarantine').action(
    withContext<[string], object>(io, async (context, _, name) => {
      context.showItem(await context.client.call('getConversionRule', { params: { name } }), ruleFields);
    }),
  );
};
