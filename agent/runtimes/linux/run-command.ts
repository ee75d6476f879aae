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
  /** Environment of the program. The agent's environment is not passed on. */
  readonly umask?: number;
  /** Folder for the program's temporary files. Default: the program's default. */
  readonly temporaryFolder?: string;
  /** Removes from a failed program's messages what must not be passed on. */
  readonly redact?: (messages: string) => string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** Sets the umask only while the child is created, because a child inherits the umask at that moment. */
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

/** Runs a program, without a shell, and waits for its end. Resolves with any exit code. */
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
    // If the program ends before it has read its input, its exit code reports the failure.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    child.once('error', reject);
    child.once('close', (code, killedBy) => resolve({ code: code ?? (killedBy ? 137 : 1), ...texts }));
  });

/**
 * Like {@link runCommand}, but rejects if the exit code is not 0.
 * @param what the beginning of the message, such as `The container could not be started`
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
  const messages = (options.redact?.(outcome.stderr) ?? outcome.stderr).trim().slice(-TAIL);
  throw new RuntimeError('step-failed', `${what}: ${messages || `exit code ${outcome.code}`}`);
};
