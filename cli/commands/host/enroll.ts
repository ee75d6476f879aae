import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import type { Io } from '../../io.ts';
import { instant } from '../../output/format.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import { addMutationOptions, examples, keyValue, type MutationOptions, mutationOf } from '../options.ts';

interface EnrollOptions extends MutationOptions {
  readonly label?: Record<string, string>;
}

export const addEnroll = (group: Command, io: Io): void => {
  const command = group
    .command('enroll')
    .summary('create a token with which one host can enroll once')
    .description(
      'Create and print a token with which one host can enroll once. Pass it to the agent in BULKHEAD_ENROLLMENT_TOKEN.',
    )
    .option('-l, --label <KEY=VALUE>', 'label of the host; can be repeated', keyValue);
  addMutationOptions(command, { ifMatch: false });
  examples(command, 'bulkhead host enroll --label rack=7').action(
    withContext<[], EnrollOptions>(io, async (context, options) => {
      const body = options.label === undefined ? {} : { labels: options.label };
      const token = await context.client.call('createEnrollmentToken', { body, ...mutationOf(options) });
      if (isDryRun(token)) return showDryRun(context, token);
      if (context.isJson) return context.showJson(token);
      context.write(`${token.token}\n`);
      context.showNote(`The token is valid for one enrollment, until ${instant(token.expiresAt)}.`);
    }),
  );
};
