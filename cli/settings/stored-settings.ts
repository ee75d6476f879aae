import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { SettingsError } from '../errors.ts';
import type { Io } from '../io.ts';

/** Settings that `bulkhead login` and `npm start` store. */
const StoredSchema = z.looseObject({
  apiUrl: z.string(),
  token: z.string(),
  /** The process that serves the URL; only from `npm start`. */
  pid: z.optional(z.number()),
});
export type StoredSettings = z.infer<typeof StoredSchema>;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** @throws {SettingsError} if the text has no settings */
export const parseStored = (path: string, text: string): StoredSettings => {
  try {
    return StoredSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SettingsError(
      `${path} has no valid settings.`,
      'Remove it, then run bulkhead login (or npm start for a local control plane).',
      { cause },
    );
  }
};

export const storedPath = ({ env, home }: Pick<Io, 'env' | 'home'>): string =>
  join(env.XDG_CONFIG_HOME || join(home, '.config'), 'bulkhead', 'config.json');

/** Writes the file atomically and readable by this user only, because it has a token. @returns its path */
export const writeStored = (io: Pick<Io, 'env' | 'home'>, settings: StoredSettings): string => {
  const path = storedPath(io);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
  return path;
};

/** @returns whether there were settings to delete */
export const removeStored = (io: Pick<Io, 'env' | 'home'>): boolean => {
  try {
    rmSync(storedPath(io));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
};
