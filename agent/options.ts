import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { NAME_PATTERN } from '../core/contract/primitives.ts';
import { collectCeilingRange } from './allow-private.ts';
import { EXIT_CODES, StartupError } from './errors.ts';
import { isProtectedUrl } from './link/protected-url.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';
import { DEFAULT_CAPACITY, SIMULATED_KINDS, type SimulatedKind } from './runtimes/simulated/kinds.ts';
import { FAULT_ACTIONS, type FaultAction } from './runtimes/simulated/world.ts';

export interface SimulatedFault {
  readonly step: string;
  readonly action: FaultAction;
  readonly times: number;
}

export interface AgentOptions {
  readonly apiUrl: string;
  readonly stateDir: string;
  readonly name: string | undefined;
  readonly enrollmentToken: string | undefined;
  readonly runtime: 'simulated' | 'linux';
  readonly simulate: SimulatedKind | undefined;
  /** Folder with the artifacts from the set-up of the Linux runtime. */
  readonly artifacts: string | undefined;
  /** Number of utility VMs in the pool. */
  readonly warmVms: number;
  /** Folders from which images can be imported. */
  readonly imageFolder: readonly string[];
  /** Private ranges that network policies can open, in canonical form. */
  readonly allowPrivate: readonly string[];
  /** Removes all its containers when it stops. */
  readonly ephemeral: boolean;
  readonly capacityMemoryMb: number;
  readonly capacityCpus: number;
  readonly capacityDiskMb: number;
  /** Minimum and maximum duration of a simulated step, in milliseconds. */
  readonly simulateDelayMs: readonly [number, number];
  readonly simulateFault: readonly SimulatedFault[];
  readonly exitWithParent: boolean;
  readonly logLevel: LogLevel;
}

const EXAMPLES = `
Examples:
  Enroll a simulated Nano Server with a local Bulkhead, and run its agent:
    BULKHEAD_ENROLLMENT_TOKEN=… agent/main.ts --api-url http://127.0.0.1:8080 \\
      --state-dir ./nano --runtime simulated --simulate nano-server
  Run it again, without a token, because the state directory has its identity:
    agent/main.ts --api-url http://127.0.0.1:8080 --state-dir ./nano --simulate nano-server
  Run real containers on this Linux machine, as root:
    BULKHEAD_ENROLLMENT_TOKEN=… agent/main.ts --api-url https://… --state-dir /var/lib/bulkhead \\
      --runtime linux --artifacts /usr/lib/bulkhead/runtime --warm-vms 4

Exit codes:
  0  stopped by SIGTERM, SIGINT or the end of its parent; containers keep running
  1  an unexpected error
  2  an option is missing or wrong
  3  the enrollment was refused
  4  the state directory cannot be used, or another agent uses it
  5  this machine does not support the runtime, for example without root
`;

/** Plain HTTP would send the enrollment token unencrypted, so it is allowed only within the machine. */
const parseApiUrl = (text: string): string => {
  if (isProtectedUrl(text, { tls: 'https:', plain: 'http:' })) return text;
  throw new InvalidArgumentError('Must be the URL of the API, with https:// (http:// only on this machine).');
};

const parseName = (text: string): string => {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(
    'Must be at most 63 letters, digits, "_", "." and "-", with a letter or digit at both ends.',
  );
};

const parsePositive = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Must be a number above 0.');
};

const parseWhole = (text: string): number => {
  if (Number.isInteger(parsePositive(text))) return Number(text);
  throw new InvalidArgumentError('Must be a whole number above 0.');
};

const parseCount = (text: string): number => {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Must be a whole number from 0 to 999.');
};

const collect = (text: string, before: readonly string[]): string[] => [...before, text];

const parseDelay = (text: string): [number, number] => {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text);
  if (match) {
    const min = Number(match[1]);
    const max = Number(match[2] ?? match[1]);
    if (min <= max) return [min, max];
  }
  throw new InvalidArgumentError('Must be milliseconds, such as "10" or "5-20".');
};

const parseFault = (text: string, before: readonly SimulatedFault[] = []): SimulatedFault[] => {
  const match = /^([a-zA-Z]+)=([a-z-]+)(?::(\d{1,6}))?$/.exec(text);
  const action = FAULT_ACTIONS.find((one) => one === match?.[2]);
  if (match?.[1] === undefined || action === undefined)
    throw new InvalidArgumentError(
      `Must have the form step=action[:times], where action is ${FAULT_ACTIONS.join(', ')}.`,
    );
  return [...before, { step: match[1], action, times: Number(match[3] ?? 1) }];
};

const program = (): Command =>
  new Command('bulkhead-agent')
    .description(
      'Runs containers on this machine for Bulkhead. It connects to the control plane and accepts no connections.',
    )
    .requiredOption('--api-url <url>', 'address of the Bulkhead API', parseApiUrl)
    .requiredOption(
      '--state-dir <directory>',
      'for the key, the enrollment and the journal; created if missing',
    )
    .option('--name <name>', 'name of the host, for its enrollment', parseName)
    .addOption(
      new Option(
        '--enrollment-token <token>',
        'needed once; the environment variable keeps it out of process lists',
      ).env('BULKHEAD_ENROLLMENT_TOKEN'),
    )
    .addOption(
      new Option('--runtime <runtime>', 'runtime for the containers')
        .choices(['simulated', 'linux'])
        .default('simulated'),
    )
    .addOption(
      new Option('--simulate <machine>', 'with the simulated runtime: the machine to simulate').choices(
        SIMULATED_KINDS,
      ),
    )
    .option('--artifacts <folder>', 'with the Linux runtime: folder with the artifacts of its set-up')
    .option(
      '--warm-vms <number>',
      'with the Linux runtime: memory of the pool, as a number of default utility VMs',
      parseCount,
      2,
    )
    .option('--image-folder <folder>', 'folder to import images from; repeatable', collect, [])
    .option(
      '--allow-private <cidr>',
      'private range that network policies can open, such as 10.20.0.0/16; repeatable',
      collectCeilingRange,
      [],
    )
    .option('--ephemeral', 'with the Linux runtime: remove all containers when it stops', false)
    .option(
      '--capacity-memory-mb <MiB>',
      'simulated memory for containers',
      parseWhole,
      DEFAULT_CAPACITY.memoryMB,
    )
    .option(
      '--capacity-cpus <number>',
      'simulated processors for containers',
      parsePositive,
      DEFAULT_CAPACITY.cpus,
    )
    .option('--capacity-disk-mb <MiB>', 'simulated disk for containers', parseWhole, DEFAULT_CAPACITY.diskMB)
    .option('--simulate-delay-ms <range>', 'duration of a simulated step', parseDelay, [5, 20])
    .option('--simulate-fault <step=action[:times]>', 'for tests; repeatable', parseFault, [])
    .option('--exit-with-parent', 'stop when stdin, or the channel to the parent process, closes', false)
    .addOption(
      new Option('--log-level <level>', 'lowest level of the log, which is written to stderr')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addHelpText('after', EXAMPLES)
    .exitOverride();

const sentenceOf = (error: CommanderError): string =>
  `${error.message.replace(/^error: /, '')} See --help.`.replace(/^./, (first) => first.toUpperCase());

/**
 * Parses the command line, `argv` without program and script. Returns the options, or null if help was printed. Throws
 * `StartupError` with a sentence on what to do.
 */
export const parseOptions = (argv: readonly string[]): AgentOptions | null => {
  const command = program().configureOutput({ writeErr: () => undefined });
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw new StartupError(EXIT_CODES.usage, sentenceOf(error));
  }
  const options = command.opts<AgentOptions>();
  if (options.runtime === 'simulated' && options.simulate === undefined)
    throw new StartupError(
      EXIT_CODES.usage,
      `The machine to simulate is missing: use --simulate ${SIMULATED_KINDS.join('|')}.`,
    );
  return options;
};
