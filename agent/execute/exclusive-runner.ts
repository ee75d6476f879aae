/**
 * Runs tasks of one container one after the other, and of different containers side by side.
 *
 * Invariants:
 * 1. At most one task of a lane runs at any moment; a lane's tasks run in the order in which they were given.
 * 2. At most `limit` tasks run over all lanes; those that wait are begun in the order in which they came to
 *    the head of their lanes.
 * 3. A task that fails lets the next one of its lane run: failing is the task's affair.
 * 4. A task can hold its lane beyond its own end, for something that it could not stop: the lane stays shut
 *    until that has settled, while the place under the limit is free again.
 * 5. An idle lane takes no memory.
 */
export interface Lane {
  /** Keeps the lane shut until `lasting` has settled, whether well or badly. */
  hold(lasting: Promise<unknown>): void;
}

export class ExclusiveRunner {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Lanes that have something to do. */
  get busy(): readonly string[] {
    return [...this.#tails.keys()];
  }

  /** Runs `task` in the lane `key` when its turn comes; settles as the task does. */
  run<T>(key: string, task: (lane: Lane) => Promise<T>): Promise<T> {
    const held: Promise<unknown>[] = [];
    const turn = this.#tails.get(key) ?? Promise.resolve();
    const result = turn.then(() => this.#limited(() => task({ hold: (lasting) => void held.push(lasting) })));
    const tail: Promise<unknown> = result
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => Promise.allSettled(held))
      .then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      });
    this.#tails.set(key, tail);
    return result;
  }

  /** Settles when nothing runs or waits any more. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }

  async #limited<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The slot goes directly to a waiting task, so that a new task cannot take it.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
