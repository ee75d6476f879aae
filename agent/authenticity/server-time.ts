import type { Clock } from '../clock.ts';

/**
 * The control plane's time: the time in a signed welcome plus the elapsed time of this machine's monotonic clock. It is never
 * ahead of the control plane's clock, and behind it by at most the transit time of the welcome. This machine's wall clock
 * is not used.
 */
export class ServerTime {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #known: { readonly serverMs: number; readonly atMs: number } | null = null;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970 in the control plane's time; null before the first welcome. */
  now(): number | null {
    if (this.#known === null) return null;
    return this.#known.serverMs + (this.#clock.monotonicMs() - this.#known.atMs);
  }

  /** Applies a welcome. The latest time counts, because none can be ahead. */
  learn(serverMs: number): void {
    const known = this.now();
    if (known === null || serverMs > known) this.#known = { serverMs, atMs: this.#clock.monotonicMs() };
  }
}
