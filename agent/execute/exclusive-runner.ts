/**
 * Runs tasks of one container sequentially, and tasks of different containers in parallel.
 *
 * Invariants:
 * 1. At most one task of a lane runs at a time; the tasks of a lane run in the order of their submission.
 * 2. At most `limit` tasks run over all lanes; waiting tasks start in the order in which they reached the head of their lane.
 * 3. After a failed task the next one of its lane runs.
 * 4. A task can hold its lane beyond its own end, for work that it could not stop: the lane stays locked until that work has
 *    settled, while its slot under the limit is free.
 * 5. An idle lane uses no memory.
 */
export interface Lane {
  /** Keeps the lane locked until `lasting` has settled. */
  hold(lasting: Promise<unknown>): void;
}

export class ExclusiveRunner {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Lanes with tasks. */
  get busy(): readonly string[] {
    return [...this.#tails.keys()];
  }

  /** Queues `task` in the lane `key`; settles like the task. */
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

  /** Settles when no task runs or waits. */
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
