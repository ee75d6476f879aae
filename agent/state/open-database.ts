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

/** Adds a column, unless the table has it: a file of an earlier version lacks it. `column` is a name and a type. */
export const addColumn = (database: DatabaseSync, table: string, column: string): void => {
  const [name] = column.split(' ');
  const columns = database.prepare(`PRAGMA table_info(${table})`).all();
  if (!columns.some((one) => one.name === name)) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`);
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
