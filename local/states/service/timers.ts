import type { Clock } from '../../engine.ts';

interface Entry {
  at: number;
  key: string;
}

/**
 * Many deadlines with a single timer: a binary heap with a timer for the earliest. A key has one deadline. Setting it
 * again replaces it, and the old entry is dropped when it reaches the top.
 */
export class Timers {
  readonly #clock: Clock;
  readonly #onDue: (key: string) => void;
  readonly #heap: Entry[] = [];
  readonly #deadlines = new Map<string, number>();
  #armed: { at: number; cancel: () => void } | undefined;
  #closed = false;

  constructor(clock: Clock, onDue: (key: string) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** @param at epoch milliseconds; undefined clears the key's deadline */
  set(key: string, at: number | undefined): void {
    if (this.#deadlines.get(key) === at) return;
    if (at === undefined) {
      this.#deadlines.delete(key);
      return;
    }
    this.#deadlines.set(key, at);
    this.#push({ at, key });
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#armed?.cancel();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (this.#closed || !first || (this.#armed && this.#armed.at <= first.at)) return;
    this.#armed?.cancel();
    this.#armed = {
      at: first.at,
      cancel: this.#clock.after(first.at - this.#clock.now(), () => this.#fire()),
    };
  }

  #fire(): void {
    this.#armed = undefined;
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      this.#pop();
      if (this.#deadlines.get(first.key) !== first.at) continue;
      this.#deadlines.delete(first.key);
      this.#onDue(first.key);
    }
    this.#arm();
  }

  #push(entry: Entry): void {
    let i = this.#heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#atIndex(parent) <= entry.at) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const smaller = this.#atIndex(left + 1) < this.#atIndex(left) ? left + 1 : left;
      if (this.#atIndex(smaller) >= last.at) return;
      this.#swap(i, smaller);
      i = smaller;
    }
  }

  #atIndex(i: number): number {
    return this.#heap[i]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(i: number, j: number): void {
    const [a, b] = [this.#heap[i], this.#heap[j]];
    if (!a || !b) return;
    this.#heap[i] = b;
    this.#heap[j] = a;
  }
}
