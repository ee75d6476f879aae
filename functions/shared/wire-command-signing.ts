import { createSecretReader } from './clients.ts';
import { type CommandSigning, createCommandSigning } from './command-signing.ts';
import { systemDependencies } from './dependencies.ts';
import { readEnvironment } from './environment.ts';

/** For the functions that give commands, and the one that tells hosts the keys. No other may read the secret. */
export const wireCommandSigning = (): CommandSigning => {
  const { now, monotonic } = systemDependencies;
  const readSecret = createSecretReader(readEnvironment(['signingSecret']).signingSecret);
  return createCommandSigning({ readSecret, now, monotonic });
};
