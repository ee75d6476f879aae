import { DatabaseSync } from 'node:sqlite';

/**
 * Opens a SQLite file of the agent's, made if it is not there, in WAL mode. `exclusive` holds the file's lock
 * until the process ends, however it ends, so that two agents never work from one state directory.
 * Every commit is on disk when it returns: an intent that a power cut can take back is none.
 * Throws SQLite's own error (`database is locked`, `file is not a database`).
 */
export const openDatabase = (
  file: string,
  { exclusive, schema }: { exclusive: boolean; schema: string },
): DatabaseSync => {
  const database = new DatabaseSync(file, { timeout: exclusive ? 0 : 5_000 });
  if (exclusive) database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec(schema);
  return database;
};

/** Runs `act` in one transaction: all of it, or, when it throws, nothing. */
export const inTransaction = <T>(database: DatabaseSync, act: () => T): T => {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = act();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
};
