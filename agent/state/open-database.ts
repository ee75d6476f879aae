import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { NewerFormatError } from '../formats/record-format.ts';

/** The form of a SQLite file. Its version is the file's `user_version`; a new file has version 0. */
export interface DatabaseFormat {
  /** For messages, e.g. `journal`. */
  readonly name: string;
  /** `upgrades[n]` turns a file of version n into one of version n + 1. Those of version 0 may already have tables. */
  readonly upgrades: readonly ((database: DatabaseSync) => void)[];
}

const versionIn = (database: DatabaseSync): number =>
  Number(database.prepare('PRAGMA user_version').get()?.user_version);

const refuseNewer = (database: DatabaseSync, file: string, { name, upgrades }: DatabaseFormat): void => {
  const version = versionIn(database);
  if (version > upgrades.length) throw new NewerFormatError(name, file, version, upgrades.length);
};

/**
 * Changes nothing. A file that cannot be read now, e.g. because another agent has it, is not refused.
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
 * Opens a SQLite file of the agent's, made if it is not there, in WAL mode, and upgrades one of an older version.
 * `exclusive` holds the file's lock until the process ends, however it ends, so that two agents never work from one
 * state directory. Every commit is on disk when it returns: an intent that a power cut can take back is none.
 * Throws SQLite's own error (`database is locked`, `file is not a database`).
 * @throws {NewerFormatError} when a newer agent wrote the file; nothing has been changed then
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

/** Adds a column, unless the table has it. `column` is a name and a type. */
export const addColumn = (database: DatabaseSync, table: string, column: string): void => {
  const [name] = column.split(' ');
  const columns = database.prepare(`PRAGMA table_info(${table})`).all();
  if (!columns.some((one) => one.name === name)) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`);
};

/** Runs `act` in one transaction: all of it or, when it throws, nothing. */
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
