import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/**
 * A process that evaluates JSONata expressions of one tenant:
 *
 * - with a limit on its memory. A worker thread does not do: `$uppercase` of a text that was doubled 24 times ends the
 *   whole process there, whatever the thread's `resourceLimits` say.
 * - with a limit on the time of each question, for what its own guards can't interrupt, such as a regular expression
 *   that backtracks.
 * - without the environment, which holds credentials, and without rights on files, processes and threads.
 *
 * Lifecycle: started with the first question (about 60 ms) → answers, one question at a time → ended when it exceeds a
 * limit, after {@link LIMITS}.questions, when another tenant needs one, when it has been idle, or with its parent,
 * because its input ends then.
 */
const PROGRAM = new URL('./expression-program.mjs', import.meta.url);
/** Where the program reads jsonata from when it is not bundled. */
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

/** Lambda's Node.js finds its libraries by this; nothing else of the environment is passed on. */
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
    // What ends the process shows in its answers; V8's report of exhausted memory could quote the event.
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

  /** @returns its answer; undefined if it was ended by one of its limits */
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

  /** Ends the process unless it is asked again soon. It doesn't keep its parent alive meanwhile. */
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
    for (const handle of [this.#child, stdin, stdout, stderr] as unknown as NodeJS.Timeout[])
      held ? handle.ref() : handle.unref();
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

/** Asks a process of the tenant. @returns its answer; undefined if it was ended by one of its limits */
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
