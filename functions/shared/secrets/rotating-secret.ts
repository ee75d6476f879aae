import { ConfigurationError } from '../errors.ts';
import type { ReadSecret } from './read-secret.ts';

/**
 * Values that functions derive from a generated secret. A function instance reads the secret once, and again after
 * {@link FRESH_MS}, never for each use.
 *
 * A rotation adds a new version of the secret. Each instance reads it within FRESH_MS and accepts values of either
 * version. The new version is used only after {@link KNOWN_MS}, when every instance has read it.
 */
export interface Versions<T> {
  readonly newest: T;
  readonly previous: T | null;
  /** The version that new values are made with. */
  readonly inUse: T;
}

export interface RotatingSecretDependencies {
  readonly readSecret: ReadSecret;
  readonly now: () => Date;
  readonly monotonic: () => number;
}

const FRESH_MS = 15 * 60_000;
/** Wait after a failed read. */
const RETRY_MS = 60_000;
/** Twice FRESH_MS, so that the slowest instance has read the version in time. */
const KNOWN_MS = 30 * 60_000;

interface Derived<T> {
  readonly newest: T;
  readonly previous: T | null;
  readonly newestSinceMs: number;
}

/** @param derive derives a key from the value of a version; called once per version that is read */
export const createRotatingSecret = <T>(
  { readSecret, now, monotonic }: RotatingSecretDependencies,
  derive: (value: string) => T,
): (() => Promise<Versions<T>>) => {
  let known: { readonly derived: Promise<Derived<T>>; readonly readAgainAt: number } | null = null;

  const read = async (): Promise<Derived<T>> => {
    const [current, before] = await Promise.all([readSecret('AWSCURRENT'), readSecret('AWSPREVIOUS')]);
    if (current === undefined) throw new ConfigurationError('A generated secret has no value.');
    return {
      newest: derive(current.value),
      previous: before === undefined ? null : derive(before.value),
      newestSinceMs: current.createdAtMs,
    };
  };

  const derived = (): Promise<Derived<T>> => {
    if (known !== null && monotonic() < known.readAgainAt) return known.derived;
    const before = known?.derived;
    // If a later read fails, the known keys stay in use and the next attempt is made after a pause. If the first read
    // fails, the next call tries again.
    const reading = read().catch((error: unknown) => {
      known = before === undefined ? null : { derived: before, readAgainAt: monotonic() + RETRY_MS };
      if (before !== undefined) return before;
      throw error;
    });
    known = { derived: reading, readAgainAt: monotonic() + FRESH_MS };
    return reading;
  };

  return async () => {
    const { newest, previous, newestSinceMs } = await derived();
    const isKnown = previous === null || now().getTime() - newestSinceMs >= KNOWN_MS;
    return { newest, previous, inUse: isKnown ? newest : previous };
  };
};
