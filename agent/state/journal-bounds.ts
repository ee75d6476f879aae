import type { DatabaseSync } from 'node:sqlite';
import { type DiskReserve, isFull } from '../disk-reserve.ts';
import { StateUnavailableError } from '../errors.ts';
import { MIB } from '../units.ts';
import { inTransaction } from './open-database.ts';

export interface JournalBounds {
  readonly rows: number;
  readonly bytes: number;
}
export const JOURNAL_BOUNDS: JournalBounds = { rows: 20_000, bytes: 64 * MIB };

/** Space that the journal can use on a full disk, in its file and in its write-ahead log. */
const GROWN_BYTES = 4 * MIB;
/** Number of rows to delete at a time. */
const EVICTED = 500;

/**
 * Keeps the journal's file within its bounds, and writable on a full disk.
 *
 * At the limit it drops acknowledged commands, the oldest first, then unacknowledged answers to queries, which no caller
 * waits for any more. Results of commands that changed a container are kept until they are acknowledged. If nothing else is left, no more
 * commands are accepted.
 */
export class BoundedJournal {
  readonly #db: DatabaseSync;
  readonly #bounds: JournalBounds;
  readonly #reserve: DiskReserve;
  #rows: number;

  constructor(db: DatabaseSync, reserve: DiskReserve, bounds: JournalBounds) {
    this.#db = db;
    this.#reserve = reserve;
    this.#bounds = bounds;
    db.exec(`PRAGMA max_page_count = ${Math.floor(bounds.bytes / pageBytes(db))}`);
    this.#rows = this.#count();
    reserve.use(() => this.#grow());
    reserve.restore();
  }

  /** Runs a write. On a full disk it frees space and retries once. */
  write<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFull(error) || (this.#evict() === 0 && !this.#reserve.release())) throw error;
      return this.#reserve.use(act);
    }
  }

  /** Must be called before a command is added. */
  admit(): void {
    if (this.#rows >= this.#bounds.rows && this.#evict() === 0)
      throw new StateUnavailableError('The journal has reached its limit of unanswered commands.');
  }

  added(): void {
    this.#rows += 1;
  }

  pruned(): void {
    this.#rows = this.#count();
    this.#reserve.restore();
  }

  #evict(): number {
    return this.#reserve.use(() => {
      for (const [state, which] of EVICTION) {
        const { changes } = this.#db
          .prepare(
            `DELETE FROM commands WHERE arrival IN
             (SELECT arrival FROM commands WHERE state = ? AND ${which} ORDER BY arrival LIMIT ${EVICTED})`,
          )
          .run(state);
        this.#rows -= Number(changes);
        if (Number(changes) > 0) return Number(changes);
      }
      return 0;
    });
  }

  /** Grows both files in advance. SQLite uses their free space before it grows them further. */
  #grow(): void {
    inTransaction(this.#db, () => {
      this.#db.exec('CREATE TABLE IF NOT EXISTS room (filler BLOB) STRICT');
      this.#db.prepare('INSERT INTO room (filler) VALUES (zeroblob(?))').run(GROWN_BYTES);
      this.#db.exec('DELETE FROM room');
    });
  }

  #count(): number {
    return Number(this.#db.prepare('SELECT count(*) AS rows FROM commands').get()?.rows);
  }
}

const EVICTION = [
  ['acknowledged', 'TRUE'],
  ['answered', 'context IS NULL'],
] as const;

const pageBytes = (db: DatabaseSync): number => Number(db.prepare('PRAGMA page_size').get()?.page_size);
