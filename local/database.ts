/**
 * SQLite files for durable engine state.
 *
 * `synchronous=NORMAL` with a write-ahead log: a committed row survives SIGKILL of the process (the log is in the
 * page cache), and costs about 20 µs instead of a disk flush. Statements run on the event loop, so keep them short and
 * put many rows into one `transaction`.
 */
import { DatabaseSync } from 'node:sqlite';
import { EngineStartError } from './errors.ts';

/** @param schema idempotent statements (`CREATE … IF NOT EXISTS`). */
export const openDatabase = (file: string, schema: string): DatabaseSync => {
  try {
    const database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;');
    database.exec(schema);
    return database;
  } catch (cause) {
    throw new EngineStartError(`can't open ${file}; delete the local state (--reset) if it is damaged`, {
      cause,
    });
  }
};

/** All rows or none. Must not be nested. */
export const transaction = <T>(database: DatabaseSync, work: () => T): T => {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
};
