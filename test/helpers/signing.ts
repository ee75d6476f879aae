import { deriveSigningKey, type SigningKey, signPayload } from '../../core/authenticity/signing-key.ts';
import type { Command } from '../../core/contract/agent/commands.ts';
import type { ControlMessage } from '../../core/contract/agent/messages.ts';
import type { Signed } from '../../core/contract/agent/signed.ts';
import type { CommandSigning } from '../../functions/shared/secrets/command-signing.ts';
import { createSessionSeal } from '../../functions/shared/secrets/session-seal.ts';

/** The control plane's signing key in tests. */
export const COMMAND_KEY: SigningKey = deriveSigningKey('the secret of a test');

export const signCommand = (
  command: object,
  { expiresAtMs = Date.now() + 300_000, key = COMMAND_KEY }: { expiresAtMs?: number; key?: SigningKey } = {},
): Signed => signPayload(key, 'command', { ...command, expiresAtMs });

export const testSigning: CommandSigning = {
  keys: async () => ({ newest: COMMAND_KEY, previous: null, inUse: COMMAND_KEY }),
  sign: async (command, expiresAtMs) => signCommand(command, { expiresAtMs }),
};

/** The seal of session tokens in tests. */
export const testSeal = createSessionSeal({
  readSecret: async (stage) =>
    stage === 'AWSCURRENT' ? { value: 'the secret of sessions in a test', createdAtMs: 0 } : undefined,
  now: () => new Date(),
  monotonic: () => 0,
});

/** Reads a command's message without verifying it. */
export const commandIn = ({ payload }: Pick<Signed, 'payload'>): Command => {
  const { expiresAtMs: _, ...command } = JSON.parse(payload);
  return command;
};

/** The commands among messages to a host. */
export const commandsIn = (messages: readonly ControlMessage[]): Command[] =>
  messages.flatMap((one) => (one.action === 'command' ? [commandIn(one)] : []));
