import type { Command } from 'commander';
import type { BodyOfAnswer } from '../../../core/client/index.ts';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import type { Column } from '../../output/table.ts';
import { examples } from '../options.ts';
import { readJsonObject } from './read-json.ts';

type Match = BodyOfAnswer<'testConversionRule'>['containers'][number];

const COLUMNS: readonly Column<Match>[] = [
  { header: 'Name', value: ({ name }) => name },
  { header: 'RuntimeType', value: ({ runtimeType }) => runtimeType },
  { header: 'State', value: ({ state }) => state },
  { header: 'Action', value: ({ would }) => would },
  { header: 'Reason', value: ({ why }) => why ?? '', flexible: true },
];

export const addTest = (group: Command, io: Io): void => {
  const command = group
    .command('test')
    .summary('show what a rule would do on a sample event, without converting anything')
    .argument('<rule>', 'name of the rule')
    .requiredOption(
      '--event <json>',
      'sample event in EventBridge’s form (source, detail-type, detail), or @FILE',
    );
  examples(command, 'bulkhead rule test quarantine --event @finding.json').action(
    withContext<[string], { readonly event: string }>(io, async (context, options, name) => {
      // The API validates the sample.
      const body = { event: readJsonObject(options.event, '--event') } as never;
      const result = await context.client.call('testConversionRule', { params: { name }, body });
      if (context.isJson) return context.showJson(result);
      context.showNote(
        result.matches ? 'The pattern matches the event.' : 'The pattern does not match the event.',
      );
      if (result.select === null)
        context.showNote(result.reason ?? 'No containers are selected for this event.');
      if (result.truncated)
        context.showNote('More containers match. A run would stop at the maximum number of containers.');
      context.showList(COLUMNS, result.containers);
    }),
  );
};
