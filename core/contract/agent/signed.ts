import * as z from 'zod/mini';
import { IdSchema, PublicKeySchema } from '../primitives.ts';
import { CommandSchema } from './commands.ts';

/**
 * What the control plane signs for hosts. The signature covers the payload byte for byte, so it is verified before the
 * payload is parsed, and no second encoding of the same value exists. Each purpose has a prefix of its own: a signature
 * made for one is never valid for another.
 */
export const SIGNED_PURPOSES = ['command', 'server-time', 'next-key'] as const;
export type SignedPurpose = (typeof SIGNED_PURPOSES)[number];

export const SignedSchema = z.strictObject({
  /** JSON text. */
  payload: z.string(),
  /** Ed25519, in base64url. */
  signature: z.string(),
  keyId: z.string(),
});
export type Signed = z.infer<typeof SignedSchema>;

/** Purpose `command`: a command, and until when it may be taken in by the control plane's clock. */
export const SignedCommandSchema = z.strictObject({ ...CommandSchema.shape, expiresAtMs: z.int() });

/**
 * Purpose `server-time`: the control plane's clock, as an answer to one hello of one host. The hello's random id keeps
 * an older answer from being replayed.
 */
export const ServerTimeSchema = z.strictObject({ hostId: IdSchema, messageId: z.string(), nowMs: z.int() });

/** Purpose `next-key`: the key that follows the one that signs this. */
export const NextKeySchema = z.strictObject({ publicKey: PublicKeySchema });

/** Why a host did not take a command. */
export const REFUSAL_REASONS = [
  'unsigned',
  'unknown-key',
  'wrong-signature',
  'unreadable',
  'other-host',
  'expired',
  'replayed',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];
