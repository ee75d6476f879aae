import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import type { Signed, SignedPurpose } from '../contract/agent/signed.ts';

/**
 * Ed25519 keys of the control plane. A private key is derived from a generated secret (HKDF-SHA256), so that the secret
 * can have any form and every function derives the same key.
 */
export interface SigningKey {
  readonly keyId: string;
  /** In the form of a JWK's `x`. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

const SEED_BYTES = 32;
const DERIVATION = 'bulkhead command signing v1';
/** The bytes before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const KEY_ID_LENGTH = 16;

/** The id of a key: the start of its fingerprint. It only selects the key that verifies a signature. */
export const keyIdOf = (publicKey: string): string =>
  createHash('sha256').update(publicKey).digest('base64url').slice(0, KEY_ID_LENGTH);

export const deriveSigningKey = (secret: string): SigningKey => {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', DERIVATION, SEED_BYTES));
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = String(createPublicKey(privateKey).export({ format: 'jwk' }).x);
  return { keyId: keyIdOf(publicKey), publicKey, privateKey };
};

const signedBytes = (purpose: SignedPurpose, payload: string): Buffer =>
  Buffer.from(`bulkhead ${purpose} v1\n${payload}`, 'utf8');

export const signPayload = (
  { keyId, privateKey }: SigningKey,
  purpose: SignedPurpose,
  content: object,
): Signed => {
  const payload = JSON.stringify(content);
  const signature = sign(null, signedBytes(purpose, payload), privateKey).toString('base64url');
  return { payload, signature, keyId };
};

/** Whether the key has signed this payload for this purpose. */
export const isSignedBy = (publicKey: string, purpose: SignedPurpose, signed: Signed): boolean => {
  try {
    const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: publicKey } });
    const signature = Buffer.from(signed.signature, 'base64url');
    return verify(null, signedBytes(purpose, signed.payload), key, signature);
  } catch {
    return false;
  }
};
