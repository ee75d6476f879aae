import type { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { ExitError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import { openContainerSession } from '../../session.ts';
import { isTerminal, type Joined, joinTerminal, terminalSize } from '../../terminal.ts';
import { examples, keyValue } from '../options.ts';

interface EnterOptions {
  readonly user?: string;
  readonly administrator?: true;
  readonly env?: Record<string, string>;
  readonly workingDir?: string;
  readonly attach?: true;
  readonly tty?: boolean;
}

/** The exit code if the process reported none. It is the same as in docker. */
const NO_EXIT_CODE = 125;

const exitCodeOf = (context: Context, { exitCode, reason }: Joined): number => {
  if (reason !== undefined && reason !== 'exited')
    context.showNote(`The session ended: ${reason.replaceAll('-', ' ')}.`);
  return exitCode ?? (reason === 'closed' ? 0 : NO_EXIT_CODE);
};

export const addEnter = (group: Command, io: Io): void => {
  const command = group
    .command('enter')
    .summary('open an interactive session in a container (Enter-PSSession)')
    .description(
      'Start a shell, or the command after "--", in a running container, and connect this terminal to it. ' +
        'Press Ctrl-P Ctrl-Q to detach.',
    )
    .argument('<container>', 'id or name')
    .argument('[command...]', 'the command, after "--"; default: a shell of the image')
    .option('-u, --user <name>', 'user to run it as')
    .option('-a, --administrator', 'run it as the administrator of the container (-RunAsAdministrator)')
    .option('-e, --env <KEY=VALUE>', 'environment variable; can be repeated', keyValue)
    .option('-w, --working-dir <path>', 'working directory')
    .option('--attach', 'attach to the main process instead of starting one')
    .option('-t, --tty', 'allocate a terminal; default if stdin and stdout are terminals')
    .option('-T, --no-tty', 'do not allocate a terminal');
  examples(
    command,
    'bulkhead container enter HYPVCON --administrator',
    'tar c . | bulkhead container enter web -- tar x -C /srv',
  ).action(
    withContext<[string, string[]], EnterOptions>(io, async (context, options, idOrName, words) => {
      const tty = options.tty ?? isTerminal(io);
      const { user, env, workingDir, attach } = options;
      const session = await openContainerSession(context.client, io, idOrName, {
        command: words.length === 0 ? undefined : words,
        tty: attach === true ? undefined : tty,
        user,
        runAsAdministrator: options.administrator,
        env,
        workingDir,
        attach,
        ...(tty ? terminalSize(io) : {}),
      });
      const exitCode = exitCodeOf(context, await joinTerminal(io, session, { tty, stdin: true }));
      if (exitCode !== 0) throw new ExitError(exitCode);
    }),
  );
};
