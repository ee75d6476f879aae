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
  'Manage containers on your own hosts. A Default container shares its host’s kernel; a HyperV container has its own kernel, in a utility VM.';

const ENVIRONMENT_HELP = `The first of these settings selects the control plane:
  --api-url, with the token in BULKHEAD_TOKEN
  BULKHEAD_API_URL, with the token in BULKHEAD_TOKEN
  .bulkhead/local.json in this folder or a folder above it, written by npm start
  the settings that bulkhead login has stored`;

/** The command line of `bulkhead`. It throws instead of ending the process. */
export const createProgram = (io: Io): Command => {
  const program = new Command('bulkhead')
    .description(DESCRIPTION)
    .version(VERSION, '-V, --version', 'print the version of the CLI')
    .addOption(
      new Option('-o, --output <format>', 'output format: table, or json for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--api-url <url>', 'URL of the control plane')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Run the command with --help for its usage.')
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
