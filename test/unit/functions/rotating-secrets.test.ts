import { describe, expect, test } from '@jest/globals';
import { deriveSigningKey, isSignedBy } from '../../../core/authenticity/signing-key.ts';
import { createCommandSigning, publicKeysOf } from '../../../functions/shared/secrets/command-signing.ts';
import type { SecretStage, SecretVersion } from '../../../functions/shared/secrets/read-secret.ts';
import { createSessionSeal } from '../../../functions/shared/secrets/session-seal.ts';

const MINUTE_MS = 60_000;
const command = {
  id: 'c',
  hostId: '00000000-0000-4000-8000-000000000001',
  containerId: null,
  epoch: 0,
  ttlSeconds: 10,
  arguments: { verb: 'listHostProcesses' as const },
};

const open = () => {
  const clock = { ms: 1_000_000_000 };
  const reads: SecretStage[] = [];
  const versions: Partial<Record<SecretStage, SecretVersion>> = {
    AWSCURRENT: { value: 'one', createdAtMs: 0 },
  };
  const broken = { is: false };
  const signing = createCommandSigning({
    now: () => new Date(clock.ms),
    monotonic: () => clock.ms,
    readSecret: async (stage) => {
      reads.push(stage);
      if (broken.is) throw new TypeError('no network');
      return versions[stage];
    },
  });
  const signerIs = async (secret: string) =>
    isSignedBy(deriveSigningKey(secret).publicKey, 'command', await signing.sign(command, 5));
  return { clock, reads, versions, broken, signing, signerIs };
};

describe('signing commands', () => {
  test('reads the secret once for many commands, even for parallel ones', async () => {
    const { signing, reads } = open();
    await Promise.all([signing.sign(command, 5), signing.sign(command, 5)]);
    for (let count = 0; count < 10; count += 1) await signing.sign(command, 5);
    expect(reads).toEqual(['AWSCURRENT', 'AWSPREVIOUS']);
  });

  test('covers the command and its expiry', async () => {
    const { signing } = open();
    const { payload, keyId } = await signing.sign(command, 5);
    expect(JSON.parse(payload)).toEqual({ ...command, expiresAtMs: 5 });
    expect(keyId).toBe(deriveSigningKey('one').keyId);
  });

  test('uses the old key until every instance can announce the new key', async () => {
    const { clock, versions, signing, signerIs } = open();
    expect(await signerIs('one')).toBe(true);
    versions.AWSPREVIOUS = { value: 'one', createdAtMs: 0 };
    versions.AWSCURRENT = { value: 'two', createdAtMs: clock.ms };
    clock.ms += 16 * MINUTE_MS;
    expect(await signerIs('one')).toBe(true);
    expect((await signing.keys()).newest.keyId).toBe(deriveSigningKey('two').keyId);
    expect(publicKeysOf(await signing.keys())).toEqual(
      ['two', 'one'].map((secret) => deriveSigningKey(secret).publicKey),
    );
    clock.ms += 15 * MINUTE_MS;
    expect(await signerIs('two')).toBe(true);
    expect(publicKeysOf(await signing.keys())).toEqual([deriveSigningKey('two').publicKey]);
  });

  test('keeps its keys if a refresh of the secret fails, and retries if the first read fails', async () => {
    const { clock, broken, signing, signerIs } = open();
    broken.is = true;
    await expect(signing.sign(command, 5)).rejects.toThrow('no network');
    broken.is = false;
    expect(await signerIs('one')).toBe(true);
    broken.is = true;
    clock.ms += 16 * MINUTE_MS;
    expect(await signerIs('one')).toBe(true);
  });

  test('signs during an outage of hours, retries once a minute, and gets the new version afterwards', async () => {
    const { clock, reads, versions, broken, signerIs } = open();
    expect(await signerIs('one')).toBe(true);
    broken.is = true;
    clock.ms += 16 * MINUTE_MS;
    reads.length = 0;
    for (let seconds = 0; seconds < 3 * 3_600; seconds += 10) {
      expect(await signerIs('one')).toBe(true);
      clock.ms += 10_000;
    }
    expect(reads).toHaveLength(2 * 3 * 60);
    broken.is = false;
    versions.AWSCURRENT = { value: 'two', createdAtMs: 0 };
    clock.ms += MINUTE_MS;
    expect(await signerIs('two')).toBe(true);
  });
});

describe('the seal of a session’s token', () => {
  const sealBy = (versions: Partial<Record<SecretStage, SecretVersion>>, nowMs = 0) =>
    createSessionSeal({
      readSecret: async (stage) => versions[stage],
      now: () => new Date(nowMs),
      monotonic: () => 0,
    });
  const one = { value: 'one', createdAtMs: 0 };
  const two = { value: 'two', createdAtMs: 1_000_000 };

  test('is valid only for the sealed text', async () => {
    const seal = sealBy({ AWSCURRENT: one });
    const sealed = await seal.seal('bhs_a.b.c');
    expect(await seal.isSealed('bhs_a.b.c', sealed)).toBe(true);
    expect(await seal.isSealed('bhs_a.b.d', sealed)).toBe(false);
    expect(await sealBy({ AWSCURRENT: two }).isSealed('bhs_a.b.c', sealed)).toBe(false);
    for (const wrong of ['', 'x', `${sealed}A`]) expect(await seal.isSealed('bhs_a.b.c', wrong)).toBe(false);
  });

  test('is valid during a rotation, on instances with the new and with the old key', async () => {
    const before = sealBy({ AWSCURRENT: one });
    const during = sealBy({ AWSCURRENT: two, AWSPREVIOUS: one }, two.createdAtMs);
    const after = sealBy({ AWSCURRENT: two, AWSPREVIOUS: one }, two.createdAtMs + 31 * MINUTE_MS);
    expect(await during.isSealed('t', await before.seal('t'))).toBe(true);
    expect(await before.isSealed('t', await during.seal('t'))).toBe(true);
    expect(await during.isSealed('t', await after.seal('t'))).toBe(true);
    expect(await after.isSealed('t', await before.seal('t'))).toBe(true);
  });
});
