import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { RuntimeError } from '../../errors.ts';

const MAX_OUTPUT = 4 * 1024 * 1024;
const TAIL = 600;

export interface CommandOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Environment of the program; the agent's own is not passed on. */
  readonly umask?: number;
  /** Where the program puts its temporary files. Default: where it always does. */
  readonly temporaryFolder?: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** A child has the mask of the moment in which it is made. */
const spawnWith = (
  umask: number | undefined,
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess => {
  if (umask === undefined) return spawn(program, args, options);
  const own = process.umask(umask);
  try {
    return spawn(program, args, options);
  } finally {
    process.umask(own);
  }
};

/** Runs a program with arguments as they are (there is no shell) to its end. Resolves whatever its exit code. */
export const runCommand = (
  program: string,
  args: readonly string[],
  { input, timeoutMs = DEFAULT_TIMEOUT_MS, signal, umask, temporaryFolder }: CommandOptions = {},
): Promise<CommandOutcome> =>
  new Promise((resolve, reject) => {
    const child = spawnWith(umask, program, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      signal,
      env: { ...ENVIRONMENT, ...(temporaryFolder === undefined ? {} : { TMPDIR: temporaryFolder }) },
    });
    const texts = { stdout: '', stderr: '' };
    const keep = (name: 'stdout' | 'stderr') => (chunk: Buffer) => {
      if (texts[name].length < MAX_OUTPUT) texts[name] += chunk.toString();
    };
    child.stdout?.on('data', keep('stdout'));
    child.stderr?.on('data', keep('stderr'));
    // A program that ends before it has read its input fails by its exit code.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    child.once('error', reject);
    child.once('close', (code, killedBy) => resolve({ code: code ?? (killedBy ? 137 : 1), ...texts }));
  });

/**
 * As {@link runCommand}, for programs whose failure is a failure.
 * @param what begins the message, e.g. `The container could not be started`
 * @throws {RuntimeError} `step-failed`
 */
export const runOrFail = async (
  what: string,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> => {
  const outcome = await runCommand(program, args, options).catch((error: Error) => {
    if (options.signal?.aborted) throw options.signal.reason;
    throw new RuntimeError('step-failed', `${what}: ${error.message}`, { cause: error });
  });
  if (outcome.code === 0) return outcome.stdout;
  throw new RuntimeError(
    'step-failed',
    `${what}: ${outcome.stderr.trim().slice(-TAIL) || `exit code ${outcome.code}`}`,
  );
};
