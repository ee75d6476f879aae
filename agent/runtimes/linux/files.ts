import { link, mkdir, open, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
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

/** Reads a text file; null if it does not exist. */
export const readIfThere = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
};

/**
 * Reads a JSON file without a version, which this agent can derive again; null if it does not exist or has another form. For
 * files that outlive an update of the agent see {@link readRecord}.
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
 * Reads a record and upgrades it to the newest version; null if it does not exist. A truncated record, from a power failure
 * during its first write, counts as missing, because its writer had not acted on it yet.
 * @throws {NewerFormatError} if a newer agent wrote it
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
    // `flush` waits until the file is on the disk.
    await writeFile(partial, text, { mode: 0o600, flush: durable });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
};

/** Writes a record atomically. `durable`: it survives a power failure. */
export const writeRecord = <T extends object>(
  path: string,
  format: RecordFormat<T>,
  record: T,
  durable = false,
): Promise<void> => writeWhole(path, encodeRecord(format, record), durable);

/** Writes a JSON file without a version atomically. */
export const writeJson = (path: string, value: unknown): Promise<void> =>
  writeWhole(path, JSON.stringify(value), false);

/** Creates a new file. Returns false if it exists. */
export const createExclusively = async (path: string, text: string): Promise<boolean> => {
  await mkdir(dirname(path), { recursive: true });
  // Written under another name and then linked, so that no reader finds an empty file.
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

/** Creates a hard link, and replaces an existing file of that name. */
export const replaceLink = async (from: string, to: string): Promise<void> => {
  await rm(to, { force: true });
  await link(from, to);
};

/** Removes an empty folder, if it exists. Fails for a mount point, without any effect on the mounted files. */
export const removeFolder = async (path: string): Promise<void> => {
  try {
    await rmdir(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
};

/** The last bytes of a file; none if it does not exist. */
export const readTail = async (path: string, bytes: number): Promise<Buffer> => {
  const file = await open(path).catch(() => null);
  if (file === null) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, Math.max(0, size - bytes));
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};
