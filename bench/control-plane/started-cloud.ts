import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchmarkError } from '../measure.ts';

/** The line that `npm start -- --json` prints when it is ready. */
interface Ready {
  readonly apiUrl: string;
  readonly token: string;
  /** The process of the embedded cloud. */
  readonly pid: number;
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  readonly body: any;
}

const STOP_MS = 20_000;

const readyLine = async (child: ChildProcess, output: () => string): Promise<Ready> => {
  if (child.stdout === null) throw new BenchmarkError('npm start has no output');
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('{')) return JSON.parse(line) as Ready;
  throw new BenchmarkError(`npm start ended before it was ready:\n${output()}`);
};

/** `npm start`, as a user runs it, with its own state folder. */
export class StartedCloud {
  readonly stateDir: string;
  readonly #child: ChildProcess;
  readonly #ready: Ready;

  static async open(root: string, options: readonly string[]): Promise<StartedCloud> {
    const stateDir = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
    const fixed = ['--state-dir', stateDir, '--port', '0', '--json'];
    const child = spawn('npm', ['start', '--silent', '--', ...fixed, ...options], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    let output = '';
    child.stderr?.on('data', (data: Buffer) => {
      output = `${output}${data}`.slice(-10_000);
    });
    return new StartedCloud(stateDir, child, await readyLine(child, () => output));
  }

  private constructor(stateDir: string, child: ChildProcess, ready: Ready) {
    this.stateDir = stateDir;
    this.#child = child;
    this.#ready = ready;
    child.stdout?.resume();
  }

  /** The process of npm, the ancestor of all others. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.#ready.apiUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#ready.token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Ends all processes and removes the state. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit').then(() => true);
    process.kill(this.#ready.pid, 'SIGINT');
    const isEnded = await Promise.race([ended, sleep(STOP_MS, false, { ref: false })]);
    if (!isEnded) process.kill(-this.pid, 'SIGKILL');
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}
