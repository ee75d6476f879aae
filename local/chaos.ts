/**
 * Injects deliveries that AWS allows but that rarely occur on one machine: duplicates and reordering. Guarantees of AWS
 * are kept, such as the order within a shard of a stream.
 */
import { EngineStartError } from './errors.ts';

export interface ChaosOptions {
  /** Probability of a duplicate delivery. 0 to 1. */
  readonly duplicate: number;
  /** Probability that an EventBridge delivery or a WebSocket message is delayed behind later ones. 0 to 1. */
  readonly reorder: number;
  readonly seed: number;
}

export interface Chaos {
  duplicates(): boolean;
  reorders(): boolean;
}

export const noChaos: Chaos = { duplicates: () => false, reorders: () => false };

/** mulberry32: small, and deterministic for a seed. */
const generator = (seed: number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export const createChaos = (options: ChaosOptions): Chaos => {
  const random = generator(options.seed);
  return { duplicates: () => random() < options.duplicate, reorders: () => random() < options.reorder };
};

/** Reads `duplicate=0.2,reorder=0.1,seed=7` (the variable BULKHEAD_CHAOS). @throws EngineStartError */
export const parseChaos = (text: string): ChaosOptions => {
  const options = { duplicate: 0, reorder: 0, seed: 1 };
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [name, value] = part.split('=').map((one) => one.trim());
    const number = Number(value);
    const known = name === 'duplicate' || name === 'reorder' || name === 'seed';
    const inRange = name === 'seed' ? Number.isInteger(number) : number >= 0 && number <= 1;
    if (!known || value === undefined || !inRange) {
      throw new EngineStartError(
        `BULKHEAD_CHAOS: can't read '${part}' (duplicate=0..1, reorder=0..1, seed=n)`,
      );
    }
    options[name] = number;
  }
  return options;
};
