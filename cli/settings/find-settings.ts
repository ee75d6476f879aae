import { dirname, join } from 'node:path';
import { isLoopback } from '../../core/contract/loopback.ts';
import { SettingsError } from '../errors.ts';
import type { Io } from '../io.ts';
import { escapeControls } from '../output/text.ts';
import { checkApiUrl } from './check-url.ts';
import { parseStored, type StoredSettings, storedPath } from './stored-settings.ts';
import { readOwnFile } from './trust-file.ts';

/** The configured control plane, the token, and the source of the setting. */
export interface Settings {
  readonly apiUrl: string;
  readonly token: string | undefined;
  readonly source: string;
}

type Environment = Pick<Io, 'env' | 'home' | 'cwd' | 'userId' | 'stderr'>;

/** The settings in a file; undefined if it is missing or not trusted. A file that is not trusted is reported on stderr. */
const readSettings = ({ userId, stderr }: Environment, path: string): StoredSettings | undefined => {
  const file = readOwnFile(path, userId);
  if (file === undefined) return undefined;
  if ('text' in file) return parseStored(path, file.text);
  stderr.write(
    `Ignored ${escapeControls(path)}: ${escapeControls(file.why)}. Settings must be owned by your user, and other users must not be able to write them. Change that with chown and chmod go-w, or use --api-url.\n`,
  );
  return undefined;
};

const isOnThisMachine = (apiUrl: string): boolean =>
  URL.canParse(apiUrl) && isLoopback(new URL(apiUrl).hostname);

const hasEnded = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
};

/**
 * - A cloned repository can contain such a file, which then belongs to the user. It must not send the user's commands,
 *   environment values and input to another machine.
 * - A control plane that was killed leaves its file. Another user of the machine can then listen on its port and
 *   receive the token.
 */
const whyNotUsed = ({ apiUrl, pid }: StoredSettings): string | undefined => {
  if (!isOnThisMachine(apiUrl))
    return `${apiUrl} is not on this machine. For that control plane, run bulkhead login, or use --api-url.`;
  if (pid !== undefined && hasEnded(pid)) return `its process ${pid} has ended. Run npm start again.`;
  return undefined;
};

/** `.bulkhead/local.json` of this folder or the nearest one above: `npm start` writes it and removes it at its end. */
const findLocal = (io: Environment): Settings | undefined => {
  for (let folder = io.cwd; ; folder = dirname(folder)) {
    const path = join(folder, '.bulkhead', 'local.json');
    const local = readSettings(io, path);
    const why = local && whyNotUsed(local);
    if (local !== undefined && why === undefined)
      return { apiUrl: local.apiUrl, token: local.token, source: path };
    if (why !== undefined) io.stderr.write(`Ignored ${escapeControls(path)}: ${escapeControls(why)}\n`);
    if (dirname(folder) === folder) return undefined;
  }
};

const checked = (settings: Settings): Settings => {
  checkApiUrl(settings.apiUrl, settings.source);
  return settings;
};

/**
 * In order: `--api-url`, the environment, a control plane that runs in this folder or one above, the settings of `bulkhead
 * login`. A token is sent only to the URL from the same source. Files that another user owns, can write or can redirect
 * are ignored.
 */
const readFirstSettings = (io: Environment, apiUrl?: string): Settings | undefined => {
  const { BULKHEAD_API_URL: fromEnvironment, BULKHEAD_TOKEN: token } = io.env;
  if (apiUrl !== undefined) return checked({ apiUrl, token, source: '--api-url, BULKHEAD_TOKEN' });
  if (fromEnvironment)
    return checked({ apiUrl: fromEnvironment, token, source: 'BULKHEAD_API_URL, BULKHEAD_TOKEN' });
  const local = findLocal(io);
  if (local !== undefined) return checked(local);
  const path = storedPath(io);
  const stored = readSettings(io, path);
  return stored === undefined ? undefined : checked({ ...stored, source: path });
};

/** @throws {SettingsError} if no control plane is configured */
export const findSettings = (io: Environment, apiUrl?: string): Settings => {
  const found = readFirstSettings(io, apiUrl);
  if (found !== undefined) return found;
  throw new SettingsError(
    'No control plane is configured, and none runs in this folder or above.',
    'Run bulkhead login --api-url URL, or set BULKHEAD_API_URL and BULKHEAD_TOKEN, or run npm start.',
  );
};
