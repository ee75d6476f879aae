import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { SettingsError } from '../errors.ts';
import type { Io } from '../io.ts';

/** What `bulkhead login` keeps. */
const StoredSchema = z.looseObject({ apiUrl: z.string(), token: z.string() });
export type StoredSettings = z.infer<typeof StoredSchema>;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** A JSON object in a file; undefined where there is no such file. */
export const readJson = <T>(path: string, schema: z.ZodMiniType<T>): T | undefined => {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new SettingsError(`${path} cannot be read.`, 'Remove it, or make it anew: bulkhead login', {
      cause,
    });
  }
};

export const storedPath = ({ env, home }: Pick<Io, 'env' | 'home'>): string =>
  join(env.XDG_CONFIG_HOME || join(home, '.config'), 'bulkhead', 'config.json');

export const readStored = (io: Pick<Io, 'env' | 'home'>): StoredSettings | undefined =>
  readJson(storedPath(io), StoredSchema);

/** Whole from its first moment, and nobody else's to read: there is a token in it. @returns where */
export const writeStored = (io: Pick<Io, 'env' | 'home'>, settings: StoredSettings): string => {
  const path = storedPath(io);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
  return path;
};

/** @returns whether there was anything to forget */
export const removeStored = (io: Pick<Io, 'env' | 'home'>): boolean => {
  try {
    rmSync(storedPath(io));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
};
