import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';

const RESTART_MS = 500;
/** Events within this time, such as those of a flush of a large ruleset, are handled together. */
const COALESCE_MS = 20;

/**
 * Calls a handler when a program that reports events, such as `nft monitor` or `ip monitor`, writes output. The program is
 * restarted when it ends, and is killed when the agent ends. The handler is also called after each start of the program, because
 * earlier events were missed. Calls of the handler do not overlap.
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
    // The kernel ends the program with the agent, because a killed agent cannot.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...this.#command], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    this.#child = child;
    child.stdout.on('data', () => this.#requestRead());
    child.once('spawn', () => {
      this.#requestRead();
      // Reads again after the program has certainly started to listen.
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

  /** Ends the program. Resolves when the handler no longer runs. */
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
          this.#deps.log.warn('could not apply a change of the host’s network', {
            reason: messageOf(error),
          }),
        );
      });
    });
  }
}
