import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  type Decoded,
  decodeRecord,
  encodeRecord,
  NewerFormatError,
  type RecordFormat,
  versionOf,
} from './record-format.ts';

/** A record on the disk. A missing file is not an error. */
export interface RecordFile {
  readonly path: string;
  readonly what: string;
  readonly newest: number;
  /** Null if the file does not exist. */
  read(): Promise<Decoded<unknown> | null>;
  /** Rewrites a record of an older version; does nothing for any other. Returns whether it was rewritten. */
  upgrade(): Promise<boolean>;
}

const readIfThere = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
};

export const recordFile = <T extends object>(path: string, format: RecordFormat<T>): RecordFile => {
  const read = async (): Promise<Decoded<T> | null> => {
    const text = await readIfThere(path);
    return text === null ? null : decodeRecord(format, text);
  };
  return {
    path,
    what: format.name,
    newest: versionOf(format),
    read,
    upgrade: async () => {
      const decoded = await read();
      if (decoded?.kind !== 'record' || !decoded.isOlder) return false;
      const partial = `${path}.${randomUUID()}.new`;
      try {
        await writeFile(partial, encodeRecord(format, decoded.record), { mode: 0o600, flush: true });
        await rename(partial, path);
        return true;
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
    },
  };
};

/**
 * Changes nothing.
 * @throws {NewerFormatError} for the first record that a newer agent wrote
 */
export const refuseNewerRecords = async (files: readonly RecordFile[]): Promise<void> => {
  for (const file of files) {
    const decoded = await file.read();
    if (decoded?.kind === 'newer')
      throw new NewerFormatError(file.what, file.path, decoded.version, file.newest);
  }
};

/**
 * Rewrites the records of older versions. Must be called after {@link refuseNewerRecords}. If a record cannot
 * be written, for example on a full disk, it keeps its version: it is still readable, and the next start tries again.
 */
export const upgradeRecords = async (files: readonly RecordFile[], log: Log): Promise<void> => {
  let upgraded = 0;
  for (const file of files)
    try {
      if (await file.upgrade()) upgraded += 1;
    } catch (error) {
      log.warn('could not upgrade a record', { path: file.path, cause: messageOf(error) });
    }
  if (upgraded > 0) log.info('upgraded the records of an older agent', { count: upgraded });
};
