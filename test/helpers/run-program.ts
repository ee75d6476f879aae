import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly stdin?: string | Buffer;
  readonly cwd?: string;
  /** The program is killed after this time. */
  readonly seconds?: number;
}

/** Runs a program to its end. */
export const runProgram = (
  program: string,
  args: readonly string[],
  { env = {}, stdin, cwd, seconds = 60 }: RunOptions = {},
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { env: { ...process.env, NODE_OPTIONS: '', ...env }, cwd });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.once('error', reject);
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      const bytes = Buffer.concat(out);
      resolve({ exitCode, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err).toString() });
    });
  });

/**
 * A program on a pseudo-terminal (util-linux's `script`). Input is typed only after the expected output, as a user
 * would.
 */
export class Terminal {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  screen = '';
  #changed: () => void = () => undefined;

  /** @param command for `sh`; `$TERMINAL` is the terminal's device */
  constructor(command: string, env: Record<string, string>) {
    const setUp = 'stty cols 100 rows 30; TERMINAL=$(tty)';
    this.#child = spawn('script', ['-qec', `${setUp}; ${command}`, '/dev/null'], {
      env: { ...process.env, NODE_OPTIONS: '', SHELL: '/bin/sh', TERM: 'xterm', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.screen += chunk.toString();
      this.#changed();
    });
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Waits until the pattern appears on the screen, after the output that was matched before. */
  async see(pattern: RegExp, seconds = 30): Promise<string> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const match = pattern.exec(this.screen);
      if (match !== null) {
        this.screen = this.screen.slice(match.index + match[0].length);
        return match[0];
      }
      if (Date.now() > deadline) throw new Error(`not seen within ${seconds} s: ${pattern}\n${this.screen}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Hangs up. `script` forwards this to the program on the terminal. */
  kill(): void {
    this.#child.kill('SIGHUP');
  }
}

/** Starts a program that keeps running, and waits for its first line. */
export const startProgram = async (program: string, args: readonly string[], env: Record<string, string>) => {
  const child = spawn(program, [...args], {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    ended.then((code) => Promise.reject(new Error(`${program} ended with ${code}`))),
  ]);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return { line, stop };
};
