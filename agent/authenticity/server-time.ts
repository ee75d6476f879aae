import type { Clock } from '../clock.ts';

/**
 * The control plane's time, as far as this host can know it: what a signed welcome said, and what has passed since by
 * this machine's monotonic clock. It is never ahead of the control plane's clock, and behind it by no more than the
 * welcome's way here. The wall clock of this machine is not used.
 */
export class ServerTime {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #known: { readonly serverMs: number; readonly atMs: number } | null = null;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970 by the control plane's clock; null before the first welcome. */
  now(): number | null {
    if (this.#known === null) return null;
    return this.#known.serverMs + (this.#clock.monotonicMs() - this.#known.atMs);
  }

  /** Takes an answer into account. Of several the latest time counts: none of them can be ahead. */
  learn(serverMs: number): void {
    const known = this.now();
    if (known === null || serverMs > known) this.#known = { serverMs, atMs: this.#clock.monotonicMs() };
  }
}
