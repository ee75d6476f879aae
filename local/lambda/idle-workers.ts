/**
 * The idle workers of all functions. A few are kept for longer than a minute, the shortest interval of a schedule, so that a
 * function that is used now and then does not start cold. Others are ended soon, because each needs 15 to 25 MB: hosts that
 * connect and bursts leave many.
 */
import type { Clock } from '../engine.ts';

const kept = 6;
const limitMs = { kept: 90_000, others: 15_000 };
const reapEveryMs = 5_000;

interface Idle {
  readonly since: number;
  readonly end: () => void;
}

export class IdleWorkers {
  readonly #clock: Clock;
  /** In the order in which they became idle. */
  readonly #all = new Map<object, Idle>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param end is called if the worker is idle for too long, unless it is removed before */
  add(worker: object, end: () => void): void {
    if (this.#stopped) return;
    this.#all.set(worker, { since: this.#clock.now(), end });
    this.#schedule();
  }

  remove(worker: object): void {
    this.#all.delete(worker);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#all.clear();
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(reapEveryMs, () => {
      this.#cancel = undefined;
      this.#reap();
      if (this.#all.size > 0) this.#schedule();
    });
  }

  #reap(): void {
    const now = this.#clock.now();
    for (const [worker, { since, end }] of this.#all) {
      if (now - since < (this.#all.size > kept ? limitMs.others : limitMs.kept)) break;
      this.#all.delete(worker);
      end();
    }
  }
}
