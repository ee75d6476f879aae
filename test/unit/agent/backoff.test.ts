import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fullJitter, RECONNECT, resendAfter } from '../../../agent/link/backoff.ts';

const random = fc.double({ min: 0, max: 0.999999, noNaN: true });

describe('the pause before a retry', () => {
  test('is never longer than the cap, and the first is short', () => {
    fc.assert(
      fc.property(fc.nat(5_000), random, (attempt, drawn) => {
        const wait = fullJitter(attempt, RECONNECT, () => drawn);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(30_000, attempt === 0 ? 500 : 30_000));
      }),
    );
  });

  test('is random up to a ceiling that doubles', () => {
    expect([0, 1, 2, 6, 7].map((attempt) => fullJitter(attempt, RECONNECT, () => 0.5))).toEqual([
      250, 500, 1000, 15000, 15000,
    ]);
  });

  test('is at least half of the ceiling for resent messages', () => {
    fc.assert(
      fc.property(fc.nat(5_000), random, (attempt, drawn) => {
        const ceiling = Math.min(30_000, 2_000 * 2 ** attempt);
        const wait = resendAfter(attempt, () => drawn);
        expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
        expect(wait).toBeLessThanOrEqual(ceiling);
      }),
    );
  });
});
