import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, CommandArguments } from '../../core/contract/agent/commands.ts';
import { ENROLLMENT_TOKEN, type FakeControlPlane } from './fake-control-plane.ts';

const NODE = join(import.meta.dirname, '../../node_modules/.bin/node');
const MAIN = join(import.meta.dirname, '../../agent/main.ts');

/** A real agent process with its own state directory, and the control plane that it connects to. */
export class AgentProcess {
  readonly plane: FakeControlPlane;
  readonly stateDir: string;
  readonly log: string[] = [];
  readonly #arguments: readonly string[];
  #child: ChildProcess | null = null;

  constructor(plane: FakeControlPlane, args: readonly string[] = []) {
    this.plane = plane;
    this.stateDir = join(tmpdir(), `bulkhead-agent-${randomUUID()}`);
    this.#arguments = args;
  }

  start(extra: readonly string[] = []): this {
    const args = ['--api-url', this.plane.apiUrl, '--state-dir', this.stateDir, '--log-level', 'debug'];
    const child = spawn(NODE, [MAIN, ...args, '--exit-with-parent', ...this.#arguments, ...extra], {
      env: { ...process.env, NODE_OPTIONS: '', BULKHEAD_ENROLLMENT_TOKEN: ENROLLMENT_TOKEN },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stderr?.on('data', (text: Buffer) => this.log.push(text.toString()));
    this.#child = child;
    return this;
  }

  /** Sends the signal and waits for the end of the process. Returns its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode;
  }

  /** Closes the agent's stdin, as if its parent had died. Returns the exit code. */
  async orphan(): Promise<number | null> {
    this.#child?.stdin?.end();
    return this.exited();
  }

  /** Waits until the process has ended by itself. */
  async exited(): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }

  get ended(): boolean {
    return this.#child === null || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async dispose(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  get hostId(): string {
    return [...this.plane.hosts.keys()][0] ?? '';
  }

  command(args: CommandArguments, containerId: string | null, extra: Partial<Command> = {}): Command {
    return {
      id: randomUUID(),
      hostId: this.hostId,
      containerId,
      epoch: 1,
      ttlSeconds: 300,
      arguments: args,
      ...extra,
    };
  }
}
