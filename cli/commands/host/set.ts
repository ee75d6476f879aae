import { type Command, Option } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { hostFields } from '../../views/host.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { changedLabels, type LabelOptions } from '../labels.ts';
import {
  addMutationOptions,
  collect,
  examples,
  keyValue,
  type MutationOptions,
  mutationOf,
} from '../options.ts';

interface SetOptions extends MutationOptions, LabelOptions {
  readonly schedulable?: 'yes' | 'no';
}

const changeOf = async (context: Context, id: string, { schedulable, label, removeLabel }: SetOptions) => {
  const change = schedulable === undefined ? {} : { schedulable: schedulable === 'yes' };
  if (label !== undefined || removeLabel !== undefined) {
    const now = await context.client.send('getHost', { params: { id } });
    return {
      body: { ...change, labels: changedLabels(now.body.labels, { label, removeLabel }) },
      ifMatch: now.etag,
    };
  }
  if (schedulable !== undefined) return { body: change };
  throw new UsageError('No change was given.', 'Use at least one of --schedulable, --label, --remove-label.');
};

export const addSet = (group: Command, io: Io): void => {
  const command = group
    .command('set')
    .summary('change the labels of a host, or whether containers can be placed on it')
    .argument('<host>', 'id or name')
    .addOption(
      new Option('--schedulable <answer>', 'whether containers can be placed on it').choices(['yes', 'no']),
    )
    .option('-l, --label <KEY=VALUE>', 'label to add or replace; can be repeated', keyValue)
    .option('--remove-label <KEY>', 'label to remove; can be repeated', collect);
  addMutationOptions(command, { ifMatch: true });
  examples(command, 'bulkhead host set nano-1 --label rack=7 --schedulable yes').action(
    withContext<[string], SetOptions>(io, async (context, options, host) => {
      const id = await hostIdOf(context, host);
      const change = await changeOf(context, id, options);
      const body = await context.client.call('updateHost', {
        params: { id },
        ...change,
        ...mutationOf(options),
      });
      if (isDryRun(body)) showDryRun(context, body);
      else context.showItem(body, hostFields);
    }),
  );
};
