import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  deriveSigningKey,
  isSignedBy,
  keyIdOf,
  signPayload,
} from '../../../core/authenticity/signing-key.ts';
import { SIGNED_PURPOSES } from '../../../core/contract/agent/signed.ts';

const key = deriveSigningKey('a generated secret');
const command = {
  id: 'operation:StartContainer:3',
  hostId: '00000000-0000-4000-8000-000000000001',
  containerId: '00000000-0000-4000-8000-000000000002',
  epoch: 3,
  ttlSeconds: 60,
  arguments: { verb: 'exec', command: ['id'], timeoutSeconds: 5 },
  expiresAtMs: 1_800_000_000_000,
};
const signed = signPayload(key, 'command', command);

describe('a key that signs', () => {
  test('is derived from the secret: equal secrets give equal keys', () => {
    expect(deriveSigningKey('a generated secret').publicKey).toBe(key.publicKey);
    expect(deriveSigningKey('another secret').publicKey).not.toBe(key.publicKey);
    // Hosts have pinned derived keys, so the derivation must never change.
    expect(key.publicKey).toBe('bEB7zCJrSTEtUndMytgyuzVPieIvqqzWhWiXZMRADH0');
    expect(keyIdOf(key.publicKey)).toBe(key.keyId);
  });

  test('signs the payload byte for byte', () => {
    expect(JSON.parse(signed.payload)).toEqual(command);
    expect(isSignedBy(key.publicKey, 'command', signed)).toBe(true);
  });

  test('signs for a single purpose', () => {
    for (const purpose of SIGNED_PURPOSES)
      expect(isSignedBy(key.publicKey, purpose, signed)).toBe(purpose === 'command');
  });

  test('does not verify a signature of another key with its key id', () => {
    const forged = { ...signPayload(deriveSigningKey('x'), 'command', command), keyId: key.keyId };
    expect(isSignedBy(key.publicKey, 'command', forged)).toBe(false);
  });
});

describe('a signature does not verify', () => {
  const verified = (payload: string) => isSignedBy(key.publicKey, 'command', { ...signed, payload });

  test.each(Object.keys(command) as (keyof typeof command)[])('another %s', (field) => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(JSON.stringify(value) !== JSON.stringify(command[field]));
        expect(verified(JSON.stringify({ ...command, [field]: value }))).toBe(false);
      }),
    );
  });

  test('a payload with an added, removed or moved member', () => {
    for (const field of Object.keys(command)) {
      const { [field as keyof typeof command]: moved, ...rest } = command;
      expect(verified(JSON.stringify(rest))).toBe(false);
      const reordered = JSON.stringify({ ...rest, [field]: moved });
      expect(verified(reordered)).toBe(reordered === signed.payload);
    }
    expect(verified(JSON.stringify({ ...command, more: 1 }))).toBe(false);
    expect(verified(` ${signed.payload}`)).toBe(false);
  });

  test('a payload with any byte changed, inserted or removed', () => {
    const at = fc.nat(signed.payload.length - 1);
    fc.assert(
      fc.property(
        at,
        fc.constantFrom('', 'x', ' ', '"', '\u0000', '\ud800'),
        fc.nat(1),
        (index, text, cut) => {
          const changed = signed.payload.slice(0, index) + text + signed.payload.slice(index + cut);
          fc.pre(changed !== signed.payload);
          expect(verified(changed)).toBe(false);
        },
      ),
    );
  });

  test('when it is malformed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), fc.string(), (signature, publicKey) => {
        expect(isSignedBy(key.publicKey, 'command', { ...signed, signature })).toBe(false);
        expect(isSignedBy(publicKey, 'command', signed)).toBe(false);
      }),
    );
  });
});
