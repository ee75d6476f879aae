import { type Command, Option } from 'commander';
import type { UpdateContainerRequest } from '../../../core/contract/container.ts';
import { type Context, withContext } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { containerFields } from '../../views/container.ts';
import { isDryRun, showDryRun, showOutcome } from '../accepted.ts';
import { changedLabels, type LabelOptions } from '../labels.ts';
import {
  addMutationOptions,
  addWaitOption,
  collect,
  examples,
  keyValue,
  mutationOf,
  type RestartOption,
  restartPolicy,
  type WaitingOptions,
} from '../options.ts';
import {
  addNetworkOptions,
  changedNetwork,
  type NetworkOptions,
  networkOf,
  RULE_HELP,
  waitForConfirmation,
} from './network.ts';

interface SetOptions extends WaitingOptions, LabelOptions, NetworkOptions {
  readonly clearRules?: true;
  readonly runtimeType?: string;
  readonly strategy?: 'inPlace' | 'recreate';
  readonly acceptUntrustedDisk?: true;
  readonly restart?: RestartOption;
}

const changesLabels = ({ label, removeLabel }: SetOptions): boolean =>
  label !== undefined || removeLabel !== undefined;
const changesNetwork = (options: SetOptions): boolean =>
  options.clearRules === true || networkOf(options) !== undefined;

/**
 * The requested change. The API replaces labels and network policy as a whole. So they are read first, and the update
 * fails if they have changed in the meantime.
 */
const changeOf = async (context: Context, idOrName: string, options: SetOptions) => {
  const { runtimeType, strategy, acceptUntrustedDisk, restart } = options;
  const change: UpdateContainerRequest = {
    runtimeType,
    strategy,
    acceptUntrustedDisk,
    restartPolicy: restart,
  };
  const mutation = mutationOf(options);
  if (!changesLabels(options) && !changesNetwork(options)) {
    if (Object.values(change).some((value) => value !== undefined)) return { body: change, ...mutation };
    throw new UsageError(
      'No change was given.',
      'Use at least one of --runtime-type, --label, --remove-label, --restart, --egress, --allow, --deny, --peers.',
    );
  }
  const { body: now, etag } = await context.client.send('getContainer', { params: { idOrName } });
  const body = {
    ...change,
    ...(changesLabels(options) && { labels: changedLabels(now.labels, options) }),
    ...(changesNetwork(options) && { network: changedNetwork(now.network, options) }),
  };
  return { body, ifMatch: etag, ...mutation };
};

export const addSet = (group: Command, io: Io): void => {
  const command = group
    .command('set')
    .summary('change a container (Set-Container)')
    .description(
      'Change the runtime type (a conversion), labels, restart policy or network policy of a container. ' +
        'A network policy takes effect immediately, without a restart. Network rules are added to the existing rules.',
    )
    .argument('<container>', 'id or name')
    .option('-r, --runtime-type <type>', 'convert it to Default or HyperV')
    .addOption(
      new Option(
        '--strategy <strategy>',
        'conversion strategy; recreate is for hosts that cannot convert in place',
      ).choices(['inPlace', 'recreate']),
    )
    .option(
      '--accept-untrusted-disk',
      'allow the host’s kernel to mount a disk that the container’s own kernel has written',
    )
    .option('-l, --label <KEY=VALUE>', 'label to add or replace; can be repeated', keyValue)
    .option('--remove-label <KEY>', 'label to remove; can be repeated', collect)
    .option(
      '--restart <policy>',
      'restart policy: no, always, on-failure or on-failure:RETRIES',
      restartPolicy,
    );
  addNetworkOptions(command).option('--clear-rules', 'remove all network rules before rules are added');
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  command.addHelpText('after', RULE_HELP);
  examples(
    command,
    'bulkhead container set DEMO --runtime-type HyperV',
    'bulkhead container set DEMO --label tier=untrusted --remove-label draft',
    'bulkhead container set DEMO --egress deny --allow example.com:443/tcp',
    'bulkhead container set DEMO --clear-rules --egress allow',
  ).action(
    withContext<[string], SetOptions>(io, async (context, options, idOrName) => {
      const change = await changeOf(context, idOrName, options);
      const body = await context.client.call('updateContainer', { params: { idOrName }, ...change });
      if (isDryRun(body)) showDryRun(context, body);
      else if ('operation' in body) await showOutcome(context, body, options);
      else context.showItem(options.wait ? await waitForConfirmation(context, body) : body, containerFields);
    }),
  );
};
