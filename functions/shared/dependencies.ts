import { randomBytes, randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';

/** Time, ids and randomness of handlers, injected so that tests control them. */
export interface Dependencies {
  readonly now: () => Date;
  /** Milliseconds of a monotonic clock, for durations. */
  readonly monotonic: () => number;
  /** A new lower-case UUID. */
  readonly newId: () => string;
  /** Cryptographically random bytes, for tokens and keys. */
  readonly randomBytes: (count: number) => Buffer;
  /** In [0, 1); for jitter and choices, never for secrets. */
  readonly random: () => number;
  /** Resolves after that many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
}

export const systemDependencies: Dependencies = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  newId: () => randomUUID(),
  randomBytes: (count) => randomBytes(count),
  random: () => Math.random(),
  sleep: (milliseconds) => setTimeout(milliseconds),
};
