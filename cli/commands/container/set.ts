import { type Command, Option } from 'commander';
import type { UpdateContainerRequest } from '../../../core/contract/container.ts';
import { acting, type Context } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { containerFields } from '../../views/container.ts';
import { finish, isDryRun, showDryRun } from '../accepted.ts';
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

interface SetOptions extends WaitingOptions, LabelOptions {
  readonly runtimeType?: string;
  readonly strategy?: 'inPlace' | 'recreate';
  readonly acceptUntrustedDisk?: true;
  readonly restart?: RestartOption;
}

/** The change that is asked for. Labels are a whole in the API: what is there is read first, and must not change between. */
const changeOf = async (context: Context, idOrName: string, options: SetOptions) => {
  const { runtimeType, strategy, acceptUntrustedDisk, restart } = options;
  const change: UpdateContainerRequest = {
    runtimeType,
    strategy,
    acceptUntrustedDisk,
    restartPolicy: restart,
  };
  const mutation = mutationOf(options);
  if (options.label === undefined && options.removeLabel === undefined) {
    if (Object.values(change).some((value) => value !== undefined)) return { body: change, ...mutation };
    throw new UsageError(
      'Nothing is to be changed.',
      'Say what: --runtime-type, --label, --remove-label, --restart.',
    );
  }
  const now = await context.client.send('getContainer', { params: { idOrName } });
  const labels = changedLabels(now.body.labels, options);
  return { body: { ...change, labels }, ifMatch: now.etag, ...mutation };
};

export const addSet = (group: Command, io: Io): void => {
  const command = group
    .command('set')
    .summary('change a container (Set-Container)')
    .description('Change the runtime type of a container (a conversion), its labels or its restart policy.')
    .argument('<container>', 'id or name')
    .option('-r, --runtime-type <type>', 'convert it to Default or HyperV')
    .addOption(
      new Option(
        '--strategy <strategy>',
        'of a conversion; recreate is for hosts that cannot do it in place',
      ).choices(['inPlace', 'recreate']),
    )
    .option(
      '--accept-untrusted-disk',
      'let the host’s kernel mount a disk that the container’s own has written',
    )
    .option('-l, --label <KEY=VALUE>', 'add or replace; may be repeated', keyValue)
    .option('--remove-label <KEY>', 'may be repeated', collect)
    .option('--restart <policy>', 'no, always, on-failure or on-failure:RETRIES', restartPolicy);
  addWaitOption(addMutationOptions(command, { ifMatch: true }));
  examples(
    command,
    'bulkhead container set DEMO --runtime-type HyperV',
    'bulkhead container set DEMO --label tier=untrusted --remove-label draft',
  ).action(
    acting<[string], SetOptions>(io, async (context, options, idOrName) => {
      const change = await changeOf(context, idOrName, options);
      const body = await context.client.call('updateContainer', { params: { idOrName }, ...change });
      if (isDryRun(body)) showDryRun(context, body);
      else if ('operation' in body) await finish(context, body, options);
      else context.one(body, containerFields);
    }),
  );
};
