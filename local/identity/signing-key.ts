import { randomUUID } from 'node:crypto';
import { chmod, link, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import { LocalCloudError } from '../errors.ts';
import { makePrivateFolder } from '../private-folder.ts';

/** The file exists but has no key. The message has a solution. */
export class SigningKeyError extends LocalCloudError {
  readonly code = 'signing-key-unusable';
}

export interface SigningKey {
  readonly keyId: string;
  readonly privateKey: CryptoKey;
  /** For the key set: without the private part. */
  readonly publicJwk: JWK;
}

const readKey = async (file: string): Promise<JWK | undefined> => {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as JWK;
  } catch (cause) {
    throw new SigningKeyError(
      `${file} has no key. Delete it; the next start creates a new one, and existing tokens become invalid.`,
      {
        cause,
      },
    );
  }
};

/** Writes the file atomically, readable by its owner only, and never over a file of another process. */
const createKey = async (file: string): Promise<void> => {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  const complete = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'RS256', use: 'sig' };
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(complete)}\n`, { mode: 0o600 });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await unlink(draft);
};

/**
 * The RS256 key of the local issuer, created on first use in a private folder.
 * @throws SigningKeyError
 */
export const loadSigningKey = async (file: string): Promise<SigningKey> => {
  makePrivateFolder(dirname(file));
  if ((await readKey(file)) === undefined) await createKey(file);
  const jwk = await readKey(file);
  const privateKey = jwk && (await importJWK(jwk, 'RS256').catch(() => undefined));
  if (jwk?.kid === undefined || privateKey === undefined || privateKey instanceof Uint8Array)
    throw new SigningKeyError(
      `${file} has no RSA key. Delete it; the next start creates a new one, and existing tokens become invalid.`,
    );
  await chmod(file, 0o600);
  const { kty, n, e, kid } = jwk;
  return { keyId: kid, privateKey, publicJwk: { kty, n, e, kid, alg: 'RS256', use: 'sig' } as JWK };
};
