import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { divideDisk } from '../../../agent/runtimes/linux/disk-space.ts';

const use = fc.record({
  freeMB: fc.nat(1_000_000),
  containersMB: fc.nat(200_000),
  legacyGrowthMB: fc.nat(200_000),
  imagesMB: fc.nat(100_000),
  templateGrowthMB: fc.nat(2048),
});

describe('the shares of a disk', () => {
  test('the sum of unallocated shares never exceeds the free space', () => {
    fc.assert(
      fc.property(use, (given) => {
        const { containersMB, imagesMB } = divideDisk(given);
        const promised = Math.max(0, containersMB - given.containersMB) + (imagesMB - given.imagesMB);
        const reserved = given.legacyGrowthMB + given.templateGrowthMB;
        if (promised > 0) expect(promised + reserved).toBeLessThanOrEqual(given.freeMB);
        expect(imagesMB).toBeGreaterThanOrEqual(given.imagesMB);
        expect(containersMB).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('allocating a layer does not change the capacity', () => {
    const before = {
      freeMB: 100_000,
      containersMB: 0,
      legacyGrowthMB: 0,
      imagesMB: 100,
      templateGrowthMB: 512,
    };
    const after = { ...before, freeMB: 100_000 - 2048, containersMB: 2048 };
    expect(divideDisk(after)).toEqual(divideDisk(before));
  });
});
