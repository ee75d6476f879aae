import type { Clock } from '../../local/engine.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A manual clock. */
export class ManualCloudClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(now = Date.UTC(2026, 10, 23, 9, 5, 7)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Advances and runs all due timers in order of time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#earliest(); next !== undefined && next.at <= end; next = this.#earliest())
      this.#run(next);
    this.#now = Math.max(this.#now, end);
  }

  /** Advances to the next timer and runs it. @returns whether there was one */
  advanceToNext(): boolean {
    const next = this.#earliest();
    if (next !== undefined) this.#run(next);
    return next !== undefined;
  }

  #earliest(): Timer | undefined {
    return [...this.#timers].sort((a, b) => a.at - b.at)[0];
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.callback();
  }
}
