import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';

const RESTART_MS = 500;
/** Many events at once, such as the flush of a large ruleset, are handled together. */
const COALESCE_MS = 20;

/**
 * Calls a handler when a program that reports events has written something: `nft monitor`, `ip monitor`. The program
 * is restarted when it ends, and ends with the agent. The handler is also called at every start of the program, since
 * nothing told of the time before; and never twice at once.
 */
export class EventSource {
  readonly #deps: Pick<LinuxDeps, 'clock' | 'log'>;
  readonly #command: readonly string[];
  readonly #handle: () => Promise<void>;
  #child: ChildProcess | null = null;
  #pending = false;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    deps: Pick<LinuxDeps, 'clock' | 'log'>,
    command: readonly string[],
    handle: () => Promise<void>,
  ) {
    this.#deps = deps;
    this.#command = command;
    this.#handle = handle;
  }

  start(): void {
    if (this.#closed) return;
    // Not in the agent's own hands: it may be killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...this.#command], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    this.#child = child;
    child.stdout.on('data', () => this.#requestRead());
    child.once('spawn', () => {
      this.#requestRead();
      // Once more when it certainly listens.
      this.#deps.clock.after(RESTART_MS, () => this.#requestRead());
    });
    let ended = false;
    const restart = () => {
      if (ended) return;
      ended = true;
      if (!this.#closed) this.#deps.clock.after(RESTART_MS, () => this.start());
    };
    child.once('error', restart);
    child.once('close', restart);
  }

  /** Ends the program. Resolves when no handler runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#child?.kill('SIGKILL');
    await this.#running;
  }

  #requestRead(): void {
    if (this.#pending || this.#closed) return;
    this.#pending = true;
    this.#deps.clock.after(COALESCE_MS, () => {
      this.#running = this.#running.then(async () => {
        this.#pending = false;
        if (this.#closed) return;
        await this.#handle().catch((error) =>
          this.#deps.log.warn('a change of the host’s network could not be followed', {
            reason: messageOf(error),
          }),
        );
      });
    });
  }
}
