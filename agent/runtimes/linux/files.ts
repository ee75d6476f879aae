import { link, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod/mini';
import {
  decodeRecord,
  encodeRecord,
  NewerFormatError,
  type RecordFormat,
  versionOf,
} from '../../formats/record-format.ts';

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Text of a file; null when there is none. */
export const readIfThere = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
};

/**
 * A JSON file that this agent derives, without a version; null when there is none or it has another form. For what
 * outlives an update of the agent see {@link readRecord}.
 */
export const readJson = async <T>(path: string, schema: z.ZodMiniType<T>): Promise<T | null> => {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
};

/**
 * A record as the newest version; null when there is none. One that is cut short (the machine lost power while it was
 * new) counts as none, because its writer had not yet acted on it.
 * @throws {NewerFormatError} when a newer agent wrote it
 */
export const readRecord = async <T extends object>(
  path: string,
  format: RecordFormat<T>,
): Promise<T | null> => {
  const text = await readIfThere(path);
  if (text === null) return null;
  const decoded = decodeRecord(format, text);
  if (decoded.kind === 'newer')
    throw new NewerFormatError(format.name, path, decoded.version, versionOf(format));
  return decoded.kind === 'record' ? decoded.record : null;
};

const writeWhole = async (path: string, text: string, durable: boolean): Promise<void> => {
  const partial = `${path}.new`;
  try {
    // `flush` waits until it is on the disk.
    await writeFile(partial, text, { mode: 0o600, flush: durable });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
};

/** Writes a record whole or not at all. `durable`: also after a loss of power. */
export const writeRecord = <T extends object>(
  path: string,
  format: RecordFormat<T>,
  record: T,
  durable = false,
): Promise<void> => writeWhole(path, encodeRecord(format, record), durable);

/** Writes a JSON file without a version, whole or not at all. */
export const writeJson = (path: string, value: unknown): Promise<void> =>
  writeWhole(path, JSON.stringify(value), false);

/** Makes a file that must not be there yet. False when it is. */
export const createExclusively = async (path: string, text: string): Promise<boolean> => {
  await mkdir(dirname(path), { recursive: true });
  // Written under another name and linked, so that no reader finds it empty.
  const partial = `${path}.${process.pid}.${process.hrtime.bigint()}`;
  try {
    await writeFile(partial, text, { mode: 0o600 });
    await link(partial, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(partial, { force: true });
  }
};

/** Another name for the file, in place of what has that name now. */
export const replaceLink = async (from: string, to: string): Promise<void> => {
  await rm(to, { force: true });
  await link(from, to);
};

/** Removes an empty folder, if it is there. Fails for one that is a mount point, and leaves what is mounted there. */
export const removeFolder = async (path: string): Promise<void> => {
  try {
    await rmdir(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
};
