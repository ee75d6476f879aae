/** The position of each mapping in each shard. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openDatabase } from '../database.ts';

export class Checkpoints {
  readonly #database: DatabaseSync;
  readonly #write: StatementSync;
  readonly #read: StatementSync;

  constructor(file: string) {
    this.#database = openDatabase(
      file,
      `CREATE TABLE IF NOT EXISTS checkpoints (
        mapping TEXT NOT NULL, stream TEXT NOT NULL, shard TEXT NOT NULL, sequence_number TEXT NOT NULL,
        PRIMARY KEY (mapping, stream, shard)
      ) STRICT`,
    );
    this.#write = this.#database.prepare('INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)');
    this.#read = this.#database.prepare(
      'SELECT sequence_number FROM checkpoints WHERE mapping = ? AND stream = ? AND shard = ?',
    );
  }

  /** The sequence number of the last completed record; `''` before the first. */
  read(mapping: string, stream: string, shard: string): string | undefined {
    const row = this.#read.get(mapping, stream, shard);
    return row === undefined ? undefined : String(row.sequence_number);
  }

  write(mapping: string, stream: string, shard: string, sequenceNumber: string): void {
    if (this.#database.isOpen) this.#write.run(mapping, stream, shard, sequenceNumber);
  }

  /** Whether the mapping has ever read this stream. */
  knows(mapping: string, stream: string): boolean {
    const found = this.#database
      .prepare('SELECT 1 FROM checkpoints WHERE mapping = ? AND stream = ? LIMIT 1')
      .get(mapping, stream);
    return found !== undefined;
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
