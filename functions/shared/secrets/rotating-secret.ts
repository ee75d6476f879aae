import { ConfigurationError } from '../errors.ts';
import type { ReadSecret } from './read-secret.ts';

/**
 * What functions make of a generated secret. It is read once for each function instance, and again after
 * {@link FRESH_MS}, never for each use.
 *
 * Rotation is a new version of the secret. Each instance notices it within FRESH_MS and accepts what either version
 * made. The new version comes into use only after {@link KNOWN_MS}, so that by then every instance knows it.
 */
export interface Versions<T> {
  readonly newest: T;
  readonly previous: T | null;
  /** What makes something new at present. */
  readonly inUse: T;
}

export interface RotatingSecretDependencies {
  readonly readSecret: ReadSecret;
  readonly now: () => Date;
  readonly monotonic: () => number;
}

const FRESH_MS = 15 * 60_000;
/** After a failure to read it again. */
const RETRY_MS = 60_000;
/** Twice as long, so that the slowest instance knows the version in time. */
const KNOWN_MS = 30 * 60_000;

interface Derived<T> {
  readonly newest: T;
  readonly previous: T | null;
  readonly newestSinceMs: number;
}

/** @param derive makes a key of a version's value; called once for each version that is read */
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
    // A failure to read it again leaves the keys in use, and the next attempt is made after a pause. The first read has
    // no keys to keep: the next call tries again.
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
