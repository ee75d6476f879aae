import type { SessionSeal } from '../../../store/sessions.ts';
import { createSecretReader } from '../clients.ts';
import { systemDependencies } from '../dependencies.ts';
import { readEnvironment } from '../environment.ts';
import { type CommandSigning, createCommandSigning } from './command-signing.ts';
import { createSessionSeal } from './session-seal.ts';

const { now, monotonic } = systemDependencies;

/** For the functions that sign commands or send hosts the public keys. No other function can read the secret. */
export const wireCommandSigning = (): CommandSigning =>
  createCommandSigning({
    readSecret: createSecretReader(readEnvironment(['signingSecret']).signingSecret),
    now,
    monotonic,
  });

/** For the functions that create or verify session tokens. */
export const wireSessionSeal = (): SessionSeal =>
  createSessionSeal({
    readSecret: createSecretReader(readEnvironment(['sessionSecret']).sessionSecret),
    now,
    monotonic,
  });
