/** The credentials for the embedded cloud's endpoints: random per state directory, and stored in it. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineStartError } from '../errors.ts';
import { asRecord, asString, type Json } from '../template/json.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const ownerOnly = 0o600;

const read = (file: string): Credentials => {
  try {
    const kept = asRecord(JSON.parse(readFileSync(file, 'utf8')) as Json);
    const accessKeyId = asString(kept.accessKeyId);
    const secretAccessKey = asString(kept.secretAccessKey);
    if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  } catch {
    // Not JSON: treated as a file without credentials.
  }
  throw new EngineStartError(`${file} has no credentials. Delete it; the next start creates new ones.`);
};

/** The credentials of the state directory, created on first use. @throws EngineStartError */
export const loadCredentials = (stateDir: string): Credentials => {
  const file = join(stateDir, 'credentials.json');
  if (existsSync(file)) return read(file);
  const made = {
    accessKeyId: `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  };
  writeFileSync(`${file}.new`, JSON.stringify(made), { mode: ownerOnly, flush: true });
  chmodSync(`${file}.new`, ownerOnly);
  renameSync(`${file}.new`, file);
  return made;
};
