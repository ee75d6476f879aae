import type { Command } from 'commander';
import { SESSION_LIMITS } from '../../../core/contract/session.ts';
import { withContext } from '../../context.ts';
import { ExitError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
import {
  addMutationOptions,
  examples,
  keyValue,
  type MutationOptions,
  mutationOf,
  wholeNumber,
} from '../options.ts';

interface ExecOptions extends MutationOptions {
  readonly user?: string;
  readonly env?: Record<string, string>;
  readonly workingDir?: string;
  readonly timeout?: number;
}

const TIMED_OUT = 124;

export const addExec = (group: Command, io: Io): void => {
  const command = group
    .command('exec')
    .summary('run a command in a container (Invoke-Command)')
    .description(
      `Run a command, wait until it exits, and print its output: at most ${SESSION_LIMITS.execOutputBytes / 1024} KB of each stream. ` +
        'For more output, input or a terminal, use bulkhead container enter.',
    )
    .argument('<container>', 'id or name')
    .argument('<command...>', 'the command, after "--"')
    .option('-u, --user <name>', 'user to run it as')
    .option('-e, --env <KEY=VALUE>', 'environment variable; can be repeated', keyValue)
    .option('-w, --working-dir <path>', 'working directory')
    .option(
      '--timeout <seconds>',
      `time after which the command is killed; default: ${SESSION_LIMITS.execSecondsDefault}`,
      wholeNumber(1, SESSION_LIMITS.execSecondsMax),
    );
  addMutationOptions(command, { ifMatch: false });
  examples(command, 'bulkhead container exec HYPVCON -- uname -r').action(
    withContext<[string, string[]], ExecOptions>(io, async (context, options, idOrName, words) => {
      const { user, env, workingDir, timeout: timeoutSeconds } = options;
      const body = { command: words, user, env, workingDir, timeoutSeconds };
      const result = await context.client.call('execInContainer', {
        params: { idOrName },
        body,
        ...mutationOf(options),
      });
      if (isDryRun(result)) return showDryRun(context, result);
      if (context.isJson) context.showJson(result);
      else {
        context.io.stdout.write(result.stdout);
        context.io.stderr.write(result.stderr);
        if (result.truncated)
          context.showNote('The output is truncated. For the complete output, use bulkhead container enter.');
        if (result.timedOut)
          context.showNote('The command was killed because it exceeded its time limit (--timeout).');
      }
      const exitCode = result.timedOut ? TIMED_OUT : result.exitCode;
      if (exitCode !== 0) throw new ExitError(exitCode);
    }),
  );
};
