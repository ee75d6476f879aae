import * as z from 'zod/mini';
import { isSignedBy, keyIdOf } from '../../core/authenticity/signing-key.ts';
import { NextKeySchema, type Signed, type SignedPurpose } from '../../core/contract/agent/signed.ts';
import { PublicKeySchema } from '../../core/contract/primitives.ts';

/** Trusted keys of the control plane, the newest first, then the replaced ones. */
export const TrustedKeysSchema = z.array(
  z.strictObject({
    publicKey: PublicKeySchema,
    /** Expiry in the control plane's time; null for none. */
    untilMs: z.nullable(z.number()),
  }),
);
export type TrustedKeys = z.infer<typeof TrustedKeysSchema>;

/** Longer than any command is valid, so that commands signed before a rotation stay valid. */
const REPLACED_MS = 24 * 60 * 60 * 1_000;
/** Far more rotations than a host can miss. */
const MAX_STEPS = 1_000;

export const newestKeyId = ([newest]: TrustedKeys): string | undefined =>
  newest === undefined ? undefined : keyIdOf(newest.publicKey);

/** Keys that are trusted without proof, at enrollment or by a host without keys. */
export const trustAtFirst = (publicKeys: readonly string[]): TrustedKeys =>
  publicKeys.map((publicKey) => ({ publicKey, untilMs: null }));

/** Sets the expiry of replaced keys that have none yet. */
export const endReplacedKeys = (keys: TrustedKeys, nowMs: number): TrustedKeys =>
  keys.some(({ untilMs }, index) => index > 0 && untilMs === null)
    ? keys.map((key, index) => (index > 0 ? { ...key, untilMs: key.untilMs ?? nowMs + REPLACED_MS } : key))
    : keys;

type Verification = 'verified' | 'unknown-key' | 'wrong-signature';

/** @param nowMs the control plane's time; null while it is unknown: no key counts as expired then */
export const verifySigned = (
  keys: TrustedKeys,
  purpose: SignedPurpose,
  signed: Signed,
  nowMs: number | null,
): Verification => {
  const key = keys.find(
    ({ publicKey, untilMs }) =>
      keyIdOf(publicKey) === signed.keyId && (untilMs === null || nowMs === null || nowMs <= untilMs),
  );
  if (key === undefined) return 'unknown-key';
  return isSignedBy(key.publicKey, purpose, signed) ? 'verified' : 'wrong-signature';
};

const announcedBy = ([newest]: TrustedKeys, announcements: readonly Signed[]): string | null => {
  if (newest === undefined) return null;
  for (const one of announcements) {
    if (one.keyId !== keyIdOf(newest.publicKey) || !isSignedBy(newest.publicKey, 'next-key', one)) continue;
    const parsed = NextKeySchema.safeParse(JSON.parse(one.payload));
    if (parsed.success) return parsed.data.publicKey;
  }
  return null;
};

/**
 * Follows announcements from the newest trusted key, each signed by the previous key. The last replaced key stays valid for
 * a day; older ones expire at once.
 */
export const followKeys = (
  keys: TrustedKeys,
  announcements: readonly Signed[],
  nowMs: number,
): TrustedKeys => {
  let followed = keys;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const next = announcedBy(followed, announcements);
    const [newest] = followed;
    if (next === null || newest === undefined) return followed;
    followed = [
      { publicKey: next, untilMs: null },
      { publicKey: newest.publicKey, untilMs: nowMs + REPLACED_MS },
    ];
  }
  return followed;
};
