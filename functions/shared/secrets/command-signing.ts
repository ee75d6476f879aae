import { deriveSigningKey, type SigningKey, signPayload } from '../../../core/authenticity/signing-key.ts';
import type { SignCommand } from '../../../store/commands.ts';
import { createRotatingSecret, type RotatingSecretDependencies, type Versions } from './rotating-secret.ts';

/**
 * The keys that sign commands. During a rotation the old key keeps signing and announces the new one, until every instance
 * can send hosts the announcement of the new key.
 */
export type CommandKeys = Versions<SigningKey>;

export interface CommandSigning {
  readonly keys: () => Promise<CommandKeys>;
  readonly sign: SignCommand;
}

export const createCommandSigning = (dependencies: RotatingSecretDependencies): CommandSigning => {
  const keys = createRotatingSecret(dependencies, deriveSigningKey);
  return {
    keys,
    sign: async (command, expiresAtMs) =>
      signPayload((await keys()).inUse, 'command', { ...command, expiresAtMs }),
  };
};

/** The keys for a host without any, the newest first. The replaced key is included only while it still signs. */
export const publicKeysOf = ({ newest, inUse }: CommandKeys): string[] => [
  ...new Set([newest.publicKey, inUse.publicKey]),
];
