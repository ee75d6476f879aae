/** Randomness, injected so that runs can be repeated. */
export interface Randomness {
  /** A number from 0 to below 1. */
  number(): number;
  /** A version 4 UUID. */
  uuid(): string;
}

/** A number from 0 to below 1 that depends only on the seed (splitmix32). */
export const seededRandom = (seed: number): number => {
  let z = (seed + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
};
