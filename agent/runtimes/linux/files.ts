import { link, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod/mini';

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
 * A record as it was written; null when there is none. One that is cut short (the machine lost power while it was
 * new) counts as none, because whoever wrote it had not yet acted on it.
 */
export const readRecord = async <T extends z.core.$ZodType>(
  path: string,
  schema: T,
): Promise<z.infer<T> | null> => {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    const parsed = (schema as unknown as z.ZodMiniType<z.infer<T>>).safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
};

/** Writes a record whole or not at all. `durable`: also after a loss of power. */
export const writeRecord = async (path: string, record: unknown, durable = false): Promise<void> => {
  const partial = `${path}.new`;
  try {
    // `flush` waits until it is on the disk.
    await writeFile(partial, JSON.stringify(record), { mode: 0o600, flush: durable });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
};

/** Makes a file that must not be there yet. False when it is. */
export const createExclusively = async (path: string, text: string): Promise<boolean> => {
  await mkdir(dirname(path), { recursive: true });
  // Written beside and linked, so that nobody ever reads it empty.
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
