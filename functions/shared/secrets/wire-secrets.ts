import type { SessionSeal } from '../../../store/sessions.ts';
import { createSecretReader } from '../clients.ts';
import { systemDependencies } from '../dependencies.ts';
import { readEnvironment } from '../environment.ts';
import { type CommandSigning, createCommandSigning } from './command-signing.ts';
import { createSessionSeal } from './session-seal.ts';

const { now, monotonic } = systemDependencies;

/** For the functions that give commands, and the one that tells hosts the keys. No other may read the secret. */
export const wireCommandSigning = (): CommandSigning =>
  createCommandSigning({
    readSecret: createSecretReader(readEnvironment(['signingSecret']).signingSecret),
    now,
    monotonic,
  });

/** For the functions that make tokens of sessions, and the one that verifies them. */
export const wireSessionSeal = (): SessionSeal =>
  createSessionSeal({
    readSecret: createSecretReader(readEnvironment(['sessionSecret']).sessionSecret),
    now,
    monotonic,
  });
