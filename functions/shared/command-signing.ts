import { deriveSigningKey, type SigningKey, signPayload } from '../../core/authenticity/signing-key.ts';
import type { SignCommand } from '../../store/commands.ts';
import { ConfigurationError } from './errors.ts';
import type { ReadSecret } from './secrets.ts';

/**
 * The keys that sign commands: derived from the secret's current version, and from the one before it while there is
 * one. They are read once for each function instance, and again after {@link FRESH_MS}, never for each command.
 *
 * Rotation is a new version of the secret. Each instance notices it within FRESH_MS and from then on announces the new
 * key, signed by the old one. It signs with the new key only after {@link ANNOUNCED_MS}, so that by then every instance
 * can tell a host of the key that it is about to meet.
 */
export interface CommandKeys {
  readonly newest: SigningKey;
  readonly previous: SigningKey | null;
  /** What signs at present. */
  readonly signer: SigningKey;
}

export interface CommandSigning {
  readonly keys: () => Promise<CommandKeys>;
  readonly sign: SignCommand;
}

export interface CommandSigningDependencies {
  readonly readSecret: ReadSecret;
  readonly now: () => Date;
  readonly monotonic: () => number;
}

const FRESH_MS = 15 * 60_000;
/** Twice as long, so that the slowest instance knows the key in time. */
const ANNOUNCED_MS = 30 * 60_000;

interface Derived {
  readonly newest: SigningKey;
  readonly previous: SigningKey | null;
  readonly newestSinceMs: number;
}

const derive = async (readSecret: ReadSecret): Promise<Derived> => {
  const [current, before] = await Promise.all([readSecret('AWSCURRENT'), readSecret('AWSPREVIOUS')]);
  if (current === undefined) throw new ConfigurationError('The secret that signs commands has no value.');
  return {
    newest: deriveSigningKey(current.value),
    previous: before === undefined ? null : deriveSigningKey(before.value),
    newestSinceMs: current.createdAtMs,
  };
};

export const createCommandSigning = (dependencies: CommandSigningDependencies): CommandSigning => {
  const { readSecret, now, monotonic } = dependencies;
  let known: { readonly derived: Promise<Derived>; readonly at: number } | null = null;

  const derived = (): Promise<Derived> => {
    if (known !== null && monotonic() - known.at < FRESH_MS) return known.derived;
    const before = known?.derived;
    // A failure to look again leaves the keys in use; a failure of the first look is tried again by the next call.
    const reading = derive(readSecret).catch((error: unknown) => {
      known = null;
      if (before !== undefined) return before;
      throw error;
    });
    known = { derived: reading, at: monotonic() };
    return reading;
  };

  const keys = async (): Promise<CommandKeys> => {
    const { newest, previous, newestSinceMs } = await derived();
    const announced = previous === null || now().getTime() - newestSinceMs >= ANNOUNCED_MS;
    return { newest, previous, signer: announced ? newest : previous };
  };

  return {
    keys,
    sign: async (command, expiresAtMs) =>
      signPayload((await keys()).signer, 'command', { ...command, expiresAtMs }),
  };
};

/** The keys that a host without any is to trust, the newest first. */
export const publicKeysOf = ({ newest, previous }: CommandKeys): string[] => [
  newest.publicKey,
  ...(previous === null ? [] : [previous.publicKey]),
];
