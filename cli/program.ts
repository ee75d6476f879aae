import { Command, Option } from 'commander';
import { addCompletion } from './commands/completion.ts';
import { addComputeProcess } from './commands/compute-process/index.ts';
import { addConfig } from './commands/config.ts';
import { addContainer } from './commands/container/index.ts';
import { addDocker } from './commands/docker.ts';
import { addEvent } from './commands/event/index.ts';
import { addHost } from './commands/host/index.ts';
import { addImage } from './commands/image/index.ts';
import { addLogin } from './commands/login.ts';
import { addLogout } from './commands/logout.ts';
import { addOperation } from './commands/operation/index.ts';
import { addRule } from './commands/rule/index.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { type Io, widthOf } from './io.ts';
import { VERSION } from './version.ts';

const DESCRIPTION =
  'Containers that may need a kernel of their own: Default shares its host’s, HyperV has a utility VM.';

const ENVIRONMENT_HELP = `Which control plane: --api-url, else BULKHEAD_API_URL (both with BULKHEAD_TOKEN), else
.bulkhead/local.json of this folder or one above (npm start), else what login has kept.`;

/** The command line of `bulkhead`. It throws instead of ending the process. */
export const createProgram = (io: Io): Command => {
  const program = new Command('bulkhead')
    .description(DESCRIPTION)
    .version(VERSION, '-V, --version', 'of this program')
    .addOption(
      new Option('-o, --output <format>', 'table for people, json for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--api-url <url>', 'URL of the control plane')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('See --help.')
    .addHelpText('after', `\n${ENVIRONMENT_HELP}\n\n${EXIT_CODES_HELP}`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => widthOf(io.stdout) ?? 100,
      getErrHelpWidth: () => widthOf(io.stderr) ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  const groups = [addContainer, addComputeProcess, addHost, addImage, addOperation, addRule, addEvent];
  for (const add of [...groups, addDocker, addLogin, addLogout, addConfig, addCompletion]) add(program, io);
  return program;
};
