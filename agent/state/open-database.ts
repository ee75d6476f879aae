import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { NewerFormatError } from '../formats/record-format.ts';

/** The format of a SQLite file. Its version is the file's `user_version`; a new file has version 0. */
export interface DatabaseFormat {
  /** For messages, e.g. `journal`. */
  readonly name: string;
  /** `upgrades[n]` upgrades a file from version n to n + 1. A file of version 0 may already have tables. */
  readonly upgrades: readonly ((database: DatabaseSync) => void)[];
}

const versionIn = (database: DatabaseSync): number =>
  Number(database.prepare('PRAGMA user_version').get()?.user_version);

const refuseNewer = (database: DatabaseSync, file: string, { name, upgrades }: DatabaseFormat): void => {
  const version = versionIn(database);
  if (version > upgrades.length) throw new NewerFormatError(name, file, version, upgrades.length);
};

/**
 * Changes nothing. A file that cannot be read now, for example because another agent uses it, is not refused.
 * @throws {NewerFormatError} when a newer agent wrote the file
 */
export const refuseNewerDatabase = (file: string, format: DatabaseFormat): void => {
  if (!existsSync(file)) return;
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    refuseNewer(database, file, format);
  } catch (error) {
    if (error instanceof NewerFormatError) throw error;
  } finally {
    database?.close();
  }
};

const upgrade = (database: DatabaseSync, { upgrades }: DatabaseFormat): void =>
  inTransaction(database, () => {
    for (const one of upgrades.slice(versionIn(database))) one(database);
    database.exec(`PRAGMA user_version = ${upgrades.length}`);
  });

/**
 * Opens one of the agent's SQLite files in WAL mode. Creates a missing file and upgrades an older version.
 * `exclusive` holds the file's lock until the process ends, so that two agents never use the same state directory. Every commit
 * is on disk when it returns, because a power failure must not undo a recorded intent; see {@link withoutFlush}.
 * Throws SQLite's own error (`database is locked`, `file is not a database`).
 * @throws {NewerFormatError} when a newer agent wrote the file, which is then unchanged
 */
export const openDatabase = (
  file: string,
  { exclusive, format }: { exclusive: boolean; format: DatabaseFormat },
): DatabaseSync => {
  const database = new DatabaseSync(file, { timeout: exclusive ? 0 : 5_000 });
  try {
    if (exclusive) database.exec('PRAGMA locking_mode = EXCLUSIVE');
    refuseNewer(database, file, format);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    if (versionIn(database) < format.upgrades.length) upgrade(database, format);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
};

/**
 * Runs `act`, whose commits are not flushed to disk: they survive the end of the process, and not always a power failure. A
 * flush takes 1 to 4 ms, during which this process does nothing else.
 */
export const withoutFlush = <T>(database: DatabaseSync, act: () => T): T => {
  database.exec('PRAGMA synchronous = NORMAL');
  try {
    return act();
  } finally {
    database.exec('PRAGMA synchronous = FULL');
  }
};

/** Adds a column if the table lacks it. `column` is a name and a type. */
export const addColumn = (database: DatabaseSync, table: string, column: string): void => {
  const [name] = column.split(' ');
  const columns = database.prepare(`PRAGMA table_info(${table})`).all();
  if (!columns.some((one) => one.name === name)) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`);
};

/** Runs `act` in one transaction, which is rolled back if `act` throws. */
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
