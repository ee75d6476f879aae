import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { collectCeilingRange } from '../../agent/allow-private.ts';
import { CommandError } from './errors.ts';

const DEFAULT_PORT = 8420;
export const ROOT = resolve(import.meta.dirname, '../..');
export const DEFAULT_STATE_DIR = resolve(ROOT, '.bulkhead');

export interface LocalOptions {
  readonly port: number;
  readonly stateDir: string;
  readonly ephemeral: boolean;
  readonly reset: boolean;
  /** This machine as a host: real if possible, simulated, or none. */
  readonly host: 'auto' | 'simulated' | 'none';
  /** Number of additional simulated hosts: Nano Server, Server Core, Linux in turn. */
  readonly simulate: number;
  /** Number of utility VMs in the pool of this machine. */
  readonly warmVms: number;
  /** Folders of this machine from which images can be imported. */
  readonly imageFolder: readonly string[];
  /** Private ranges that network policies on these hosts can open. */
  readonly allowPrivate: readonly string[];
  /** Memory capacity of each simulated host, in MiB. */
  readonly simulateMemoryMb: number | undefined;
  /** CPU capacity of each simulated host. */
  readonly simulateCpus: number | undefined;
  /** Context of the CDK app, as for `cdk deploy --context`. */
  readonly context: Readonly<Record<string, string>>;
  readonly json: boolean;
}

const MAX_PORT = 65_535;
const MAX_HOSTS = 200;
const MAX_WARM_VMS = 200;
const MAX_MEMORY_MB = 16_777_216;
const MAX_CPUS = 65_536;

const wholeNumber =
  (max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value <= max) return value;
    throw new InvalidArgumentError(`Must be a whole number from 0 to ${max}.`);
  };

const collect = (text: string, before: readonly string[]): string[] => [...before, resolve(text)];

const collectContext = (
  text: string,
  before: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> => {
  const [, key, value] = /^([A-Za-z]\w*)=(.+)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined)
    throw new InvalidArgumentError('Must have the form key=value.');
  return { ...before, [key]: value };
};

const program = (): Command =>
  new Command('npm start --')
    .description('Runs all of Bulkhead on this machine: the control plane as deployed to AWS, and hosts.')
    .option('--port <port>', 'port of the API; 0 for any free port', wholeNumber(MAX_PORT), DEFAULT_PORT)
    .addOption(
      new Option('--host <what>', 'use this machine as a host: auto (if it can be one), simulated or none')
        .choices(['auto', 'simulated', 'none'])
        .default('auto'),
    )
    .option(
      '--warm-vms <number>',
      'memory of the pool of this machine, as a number of default utility VMs',
      wholeNumber(MAX_WARM_VMS),
      2,
    )
    .option(
      '--image-folder <folder>',
      'folder from which images can be imported; can be repeated',
      collect,
      [],
    )
    .option(
      '--allow-private <cidr>',
      'private range that network policies can open, such as 10.20.0.0/16; can be repeated',
      collectCeilingRange,
      [],
    )
    .option(
      '--simulate <number>',
      'number of additional simulated hosts: Nano Server, Server Core, Linux in turn',
      wholeNumber(MAX_HOSTS),
      0,
    )
    .option(
      '--simulate-memory-mb <number>',
      'memory capacity of each simulated host, in MiB',
      wholeNumber(MAX_MEMORY_MB),
    )
    .option('--simulate-cpus <number>', 'CPU capacity of each simulated host', wholeNumber(MAX_CPUS))
    .option(
      '--context <key=value>',
      'context of the deployment, as for cdk deploy; can be repeated',
      collectContext,
      {},
    )
    .option('--ephemeral', 'keep everything in a temporary folder and remove it at the end', false)
    .option('--reset', 'first delete all containers, hosts and operations of earlier runs', false)
    .option('--state-dir <folder>', 'folder for all state', DEFAULT_STATE_DIR)
    .option('--json', 'when ready, write one line of JSON instead of the text', false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });

/** @param argv without program and script. @returns undefined if help was printed */
export const parseLocalOptions = (argv: readonly string[]): LocalOptions | undefined => {
  const command = program();
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const sentence = error.message.replace(/^error: /, '').replace(/^./, (first) => first.toUpperCase());
    throw new CommandError('usage', `${sentence}\nSee: npm start -- --help`);
  }
  const options = command.opts<LocalOptions>();
  if (options.reset && options.ephemeral)
    throw new CommandError(
      'usage',
      '--reset cannot be combined with --ephemeral, which always starts empty.',
    );
  return { ...options, stateDir: resolve(options.stateDir) };
};
