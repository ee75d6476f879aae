import { dirname, join } from 'node:path';
import * as z from 'zod/mini';
import { SettingsError } from '../errors.ts';
import type { Io } from '../io.ts';
import { readJson, readStored, storedPath } from './stored-settings.ts';

/** Which control plane is meant, with what token, and who said so. */
export interface Settings {
  readonly apiUrl: string;
  readonly token: string | undefined;
  readonly source: string;
}

const LocalSchema = z.looseObject({ apiUrl: z.string(), token: z.string() });

/** `.bulkhead/local.json` of this folder or the nearest one above: `npm start` writes it, and takes it away. */
const findLocal = (from: string): Settings | undefined => {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, '.bulkhead', 'local.json');
    const local = readJson(path, LocalSchema);
    if (local !== undefined) return { apiUrl: local.apiUrl, token: local.token, source: path };
    if (dirname(folder) === folder) return undefined;
  }
};

const checkUrl = (settings: Settings): Settings => {
  if (/^https?:\/\/[^\s]+$/.test(settings.apiUrl) && URL.canParse(settings.apiUrl)) return settings;
  throw new SettingsError(
    `"${settings.apiUrl}" is no URL of an API (${settings.source}).`,
    'It looks like https://….execute-api.….amazonaws.com, or http://127.0.0.1:8420.',
  );
};

/**
 * The nearest wins: `--api-url`, then the environment, then a control plane that runs in this folder or one above,
 * then what `bulkhead login` has kept. A token is only ever sent to the URL that it stands beside.
 */
export const lookForSettings = (
  io: Pick<Io, 'env' | 'home' | 'cwd'>,
  apiUrl?: string,
): Settings | undefined => {
  const { BULKHEAD_API_URL: fromEnvironment, BULKHEAD_TOKEN: token } = io.env;
  if (apiUrl !== undefined) return checkUrl({ apiUrl, token, source: '--api-url, BULKHEAD_TOKEN' });
  if (fromEnvironment)
    return checkUrl({ apiUrl: fromEnvironment, token, source: 'BULKHEAD_API_URL, BULKHEAD_TOKEN' });
  const local = findLocal(io.cwd);
  if (local !== undefined) return checkUrl(local);
  const stored = readStored(io);
  return stored === undefined ? undefined : checkUrl({ ...stored, source: storedPath(io) });
};

/** @throws {SettingsError} when nothing says which control plane is meant */
export const findSettings = (io: Pick<Io, 'env' | 'home' | 'cwd'>, apiUrl?: string): Settings => {
  const found = lookForSettings(io, apiUrl);
  if (found !== undefined) return found;
  throw new SettingsError(
    'Which control plane? None runs in this folder or above, and none is set.',
    'bulkhead login --api-url URL   or set BULKHEAD_API_URL and BULKHEAD_TOKEN, or run npm start.',
  );
};
