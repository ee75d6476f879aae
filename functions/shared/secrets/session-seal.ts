import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { SessionSeal } from '../../../store/sessions.ts';
import { createRotatingSecret, type RotatingSecretDependencies } from './rotating-secret.ts';

const KEY_BYTES = 32;
const DERIVATION = 'bulkhead session tokens v1';

const deriveKey = (secret: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', DERIVATION, KEY_BYTES));

const sealOf = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Seals session tokens with a secret that is not in the table. */
export const createSessionSeal = (dependencies: RotatingSecretDependencies): SessionSeal => {
  const keys = createRotatingSecret(dependencies, deriveKey);
  return {
    seal: async (text) => sealOf((await keys()).inUse, text).toString('base64url'),
    isSealed: async (text, seal) => {
      const { newest, previous } = await keys();
      const given = Buffer.from(seal, 'base64url');
      return [newest, previous].some((key) => {
        const expected = key && sealOf(key, text);
        return expected?.length === given.length && timingSafeEqual(expected, given);
      });
    },
  };
};
