import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** `<state dir>/local.json`, by which programs on this machine (the CLI, tests) find a running Bulkhead. */
export interface LocalFile {
  readonly apiUrl: string;
  readonly webSocketUrl: string;
  /** A token of the tenant `dev` with all scopes. */
  readonly token: string;
  readonly pid: number;
  /** Endpoints of AWS services, for AWS CLI and SDKs. Requests must be signed with the credentials. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
}

const pathOf = (stateDir: string): string => join(stateDir, 'local.json');

/** Writes the file atomically and readable by its owner only, because it has a token. */
export const writeLocalFile = (stateDir: string, content: LocalFile): void => {
  const path = pathOf(stateDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
};

export const removeLocalFile = (stateDir: string): void => rmSync(pathOf(stateDir), { force: true });

/** With `--port 0` the last port is tried first, so that agents find the API again. */
export const lastPort = (stateDir: string): number => {
  try {
    return Number(JSON.parse(readFileSync(join(stateDir, 'api-port.json'), 'utf8'))) || 0;
  } catch {
    return 0;
  }
};

export const keepPort = (stateDir: string, apiUrl: string): void =>
  writeFileSync(join(stateDir, 'api-port.json'), new URL(apiUrl).port);
