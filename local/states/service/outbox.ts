import type { Log, StatusChangeEvent } from './options.ts';
import type { OutboxRow, Store } from './store.ts';
import type { Timers } from './timers.ts';

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
const KEY = 'outbox:';

/**
 * Delivers status changes at least once: each is stored before the first attempt and deleted after it was accepted.
 */
export class Outbox {
  readonly #store: Store;
  readonly #timers: Timers;
  readonly #deliver: (event: StatusChangeEvent) => Promise<void>;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #waiting = new Map<number, { event: string; attempts: number }>();
  #closed = false;

  constructor(deps: {
    store: Store;
    timers: Timers;
    deliver: (event: StatusChangeEvent) => Promise<void>;
    now: () => number;
    log: Log;
  }) {
    this.#store = deps.store;
    this.#timers = deps.timers;
    this.#deliver = deps.deliver;
    this.#now = deps.now;
    this.#log = deps.log;
  }

  /** Deliveries of an earlier process. */
  resume(): void {
    for (const row of this.#store.outbox()) this.send(row);
  }

  get pending(): number {
    return this.#waiting.size;
  }

  send(row: OutboxRow): void {
    if (this.#waiting.has(row.id)) return;
    this.#waiting.set(row.id, { event: row.event, attempts: 0 });
    void this.#attempt(row.id);
  }

  /** @returns whether the timer's key belongs to the outbox */
  onTimer(key: string): boolean {
    if (!key.startsWith(KEY)) return false;
    void this.#attempt(Number(key.slice(KEY.length)));
    return true;
  }

  close(): void {
    this.#closed = true;
  }

  async #attempt(id: number): Promise<void> {
    const entry = this.#waiting.get(id);
    if (!entry || this.#closed) return;
    entry.attempts++;
    try {
      await this.#deliver(JSON.parse(entry.event) as StatusChangeEvent);
    } catch (error) {
      const delay = Math.min(FIRST_RETRY_MS * 2 ** (entry.attempts - 1), LAST_RETRY_MS);
      this.#log('warn', 'A status change was not accepted', { id, delay, error: String(error) });
      this.#timers.set(`${KEY}${id}`, this.#now() + delay);
      return;
    }
    this.#waiting.delete(id);
    if (!this.#closed) await this.#store.commit(() => this.#store.dropFromOutbox(id));
  }
}
