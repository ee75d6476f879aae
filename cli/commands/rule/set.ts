import { type Command, Option } from 'commander';
import type { PutConversionRuleRequest } from '../../../core/contract/conversion-rule.ts';
import { withContext } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { ruleFields } from '../../views/rule.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import {
  addMutationOptions,
  examples,
  keyValue,
  type MutationOptions,
  mutationOf,
  wholeNumber,
} from '../options.ts';
import { readJsonObject } from './read-json.ts';

interface SetOptions extends MutationOptions {
  readonly eventPattern: string;
  readonly runtimeType: string;
  readonly containerId?: string;
  readonly name?: string;
  readonly image?: string;
  readonly label?: Record<string, string>;
  readonly description?: string;
  readonly maxContainers?: number;
  readonly maxConcurrency?: number;
  readonly cooldown?: number;
  readonly enabled?: 'yes' | 'no';
  readonly rehearse?: true;
}

/** The complete rule. It replaces an existing rule with the same name. */
const ruleRequest = (options: SetOptions): PutConversionRuleRequest => {
  const { containerId, name, image, label } = options;
  const select = { containerId, name, image, labels: label };
  if (Object.values(select).every((value) => value === undefined))
    throw new UsageError(
      'The rule selects no containers.',
      'Use at least one of --container-id, --name, --image, --label.',
    );
  return {
    description: options.description,
    eventPattern: readJsonObject(options.eventPattern, '--event-pattern'),
    select,
    runtimeType: options.runtimeType,
    maxContainers: options.maxContainers,
    maxConcurrency: options.maxConcurrency,
    cooldownSeconds: options.cooldown,
    enabled: options.enabled === undefined ? undefined : options.enabled === 'yes',
    dryRun: options.rehearse,
  };
};

export const addSet = (group: Command, io: Io): void => {
  const command = group
    .command('set')
    .summary('create or replace a rule that converts containers on events')
    .description(
      'Create or replace a rule. Values of --container-id, --name, --image and --label can be JSONata expressions ' +
        'on the event: "{% $.detail.id %}". All selectors must match.',
    )
    .argument('<rule>', 'name of the rule')
    .requiredOption('--event-pattern <json>', 'EventBridge event pattern, or @FILE')
    .option('-r, --runtime-type <type>', 'runtime type to convert containers to', 'HyperV')
    .option('--container-id <id>', 'select the container with this id')
    .option('-n, --name <name>', 'select the container with this name')
    .option('--image <image>', 'select containers with this image')
    .option('-l, --label <KEY=VALUE>', 'select containers with this label; can be repeated', keyValue)
    .option('--description <text>', 'description of the rule')
    .option('--max-containers <number>', 'maximum number of conversions per run', wholeNumber(1, 100))
    .option(
      '--max-concurrency <number>',
      'maximum number of parallel conversions per run',
      wholeNumber(1, 20),
    )
    .option(
      '--cooldown <seconds>',
      'time for which the rule skips a container that it has converted',
      wholeNumber(0, 604_800),
    )
    .addOption(new Option('--enabled <answer>', 'whether the rule is active').choices(['yes', 'no']))
    .option('--rehearse', 'only record what runs would do');
  addMutationOptions(command, { ifMatch: true });
  examples(
    command,
    'bulkhead rule set quarantine --event-pattern \'{"source":["aws.guardduty"]}\' \\',
    "    --container-id '{% $.detail.resource.containerDetails.id %}' --max-containers 5",
  ).action(
    withContext<[string], SetOptions>(io, async (context, options, name) => {
      const body = ruleRequest(options);
      const rule = await context.client.call('putConversionRule', {
        params: { name },
        body,
        ...mutationOf(options),
      });
      if (isDryRun(rule)) showDryRun(context, rule);
      else context.showItem(rule, ruleFields);
    }),
  );
};
