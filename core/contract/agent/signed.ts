import * as z from 'zod/mini';
import { IdSchema, PublicKeySchema } from '../primitives.ts';
import { CommandSchema } from './commands.ts';

/**
 * What the control plane signs for hosts. The signature covers the bytes of the payload. So it is verified before the
 * payload is parsed, and it does not depend on how JSON is encoded. Each purpose has a separate prefix, so a
 * signature for one purpose is not valid for another.
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

/** Purpose `command`: a command, and its expiry in the control plane's time. */
export const SignedCommandSchema = z.strictObject({ ...CommandSchema.shape, expiresAtMs: z.int() });

/**
 * Purpose `server-time`: the control plane's time, as the response to one hello of one host. The random id of the hello
 * prevents the replay of an older response.
 */
export const ServerTimeSchema = z.strictObject({ hostId: IdSchema, messageId: z.string(), nowMs: z.int() });

/** Purpose `next-key`: the successor of the key that signs this. */
export const NextKeySchema = z.strictObject({ publicKey: PublicKeySchema });

/** Why a host refused a command. */
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
