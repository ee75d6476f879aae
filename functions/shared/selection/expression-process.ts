import { ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * A process that evaluates JSONata expressions of one tenant:
 *
 * - with a memory limit. A worker thread is not enough: `$uppercase` of a text that was doubled 24 times ends the whole
 *   process, regardless of the thread's `resourceLimits`.
 * - with a time limit for each request, for what its own guards cannot interrupt, such as a backtracking regular
 *   expression.
 * - without the environment, which contains credentials, and without access to files, processes and threads.
 *
 * Lifecycle: started by the first request (about 60 ms) → answers one request at a time → ended when it exceeds a limit,
 * after {@link LIMITS}.questions, when another tenant needs a process, when it was idle, or with its parent, which closes
 * its input.
 */
const PROGRAM = new URL('./expression-program.mjs', import.meta.url);
/** Path of jsonata for the unbundled program. */
const PACKAGE = new URL('../../../node_modules/jsonata/', import.meta.url);

const LIMITS = { milliseconds: 5_000, heapMB: 48, questions: 100, idleMs: 2_000 } as const;

const OPTIONS = [
  '--permission',
  `--allow-fs-read=${fileURLToPath(PROGRAM)}`,
  `--allow-fs-read=${fileURLToPath(PACKAGE)}*`,
  `--max-old-space-size=${LIMITS.heapMB}`,
  '--max-semi-space-size=4',
  '--no-warnings',
];

/** Node.js on Lambda finds its libraries by this variable. No other variable is passed on. */
const environment = (): NodeJS.ProcessEnv => {
  const { LD_LIBRARY_PATH } = process.env;
  return LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH };
};

class ExpressionProcess {
  readonly tenant: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #left: number = LIMITS.questions;
  #hasEnded = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(tenant: string) {
    this.tenant = tenant;
    const options = { env: environment(), cwd: '/' };
    this.#child = spawn(process.execPath, [...OPTIONS, fileURLToPath(PROGRAM)], options);
    // Discarded: V8's report of exhausted memory could quote the event.
    this.#child.on('error', () => {});
    this.#child.on('exit', () => {
      this.#hasEnded = true;
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.resume();
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get isUsable(): boolean {
    return this.#left > 0 && !this.#hasEnded;
  }

  /** @returns the response; undefined if a limit ended the process */
  async ask(question: object): Promise<unknown> {
    clearTimeout(this.#idle);
    this.#hold(true);
    this.#left -= 1;
    const overdue = setTimeout(() => this.end(), LIMITS.milliseconds);
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    clearTimeout(overdue);
    if (done === true) return this.end();
    return JSON.parse(value);
  }

  /** Ends the process if no request follows soon. The timer does not keep the parent alive. */
  rest(): void {
    this.#hold(false);
    this.#idle = setTimeout(() => this.end(), LIMITS.idleMs).unref();
  }

  end(): undefined {
    clearTimeout(this.#idle);
    this.#hasEnded = true;
    this.#child.kill('SIGKILL');
  }

  #hold(held: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    const handles: readonly object[] = [this.#child, stdin, stdout, stderr];
    // Pipes are sockets, although their types do not include that.
    for (const handle of handles)
      if (handle instanceof ChildProcess || handle instanceof Socket) held ? handle.ref() : handle.unref();
  }
}

let resting: ExpressionProcess | undefined;

const take = (tenant: string): ExpressionProcess => {
  const found = resting;
  resting = undefined;
  if (found?.tenant === tenant && found.isUsable) return found;
  found?.end();
  return new ExpressionProcess(tenant);
};

/** Sends a request to the tenant's process. @returns the response; undefined if a limit ended the process */
export const askExpressionProcess = async (tenant: string, question: object): Promise<unknown> => {
  const process = take(tenant);
  const answer = await process.ask(question);
  if (resting !== undefined || !process.isUsable) process.end();
  else {
    resting = process;
    process.rest();
  }
  return answer;
};
