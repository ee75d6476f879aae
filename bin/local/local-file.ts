import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What other programs on this machine (the CLI, tests) find a running Bulkhead by: `<state dir>/local.json`. */
export interface LocalFile {
  readonly apiUrl: string;
  readonly webSocketUrl: string;
  /** Of the tenant `dev`, with all scopes. */
  readonly token: string;
  readonly pid: number;
  /** Of AWS's services, for AWS CLI and SDKs. Requests have to be signed with the credentials. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
}

const pathOf = (stateDir: string): string => join(stateDir, 'local.json');

/** Whole from its first moment, and readable by its owner only: there is a token in it. */
export const writeLocalFile = (stateDir: string, content: LocalFile): void => {
  const path = pathOf(stateDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
};

export const removeLocalFile = (stateDir: string): void => rmSync(pathOf(stateDir), { force: true });

/** With `--port 0`, the port of the last time is tried first, so that agents find the API where it was. */
export const lastPort = (stateDir: string): number => {
  try {
    return Number(JSON.parse(readFileSync(join(stateDir, 'api-port.json'), 'utf8'))) || 0;
  } catch {
    return 0;
  }
};

export const keepPort = (stateDir: string, apiUrl: string): void =>
  writeFileSync(join(stateDir, 'api-port.json'), new URL(apiUrl).port);
