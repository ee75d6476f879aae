import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { sequences, walk } from '../../helpers/lifecycle-model.ts';
import { createMemoryTable } from '../../helpers/memory-table.ts';
import { scaled } from '../../helpers/scaled.ts';

/**
 * `npm run test:model` goes through more sequences. A failure prints its seed and path, which replay it:
 * BULKHEAD_MODEL_SEED=… BULKHEAD_MODEL_PATH=… npm run test:model
 */
const RUNS = scaled({ ci: 300, whole: 50_000 });
const RUNS_ON_TABLE = scaled({ ci: 10, whole: 25 });
const SEED = process.env.BULKHEAD_MODEL_SEED;
const PATH = process.env.BULKHEAD_MODEL_PATH;
/** Time limit per sequence in milliseconds, which only a hang exceeds. */
const LONGEST_MS = 500;

const inMemory = () => ({
  table: createMemoryTable(),
  name: 'memory',
  consumed: { reads: 0, writes: 0 } as never,
});

describe('after any events in any order, no capacity is oversold and each operation ends once; without faults, the state is accurate', () => {
  test(
    `${RUNS} sequences, in memory`,
    async () => {
      await fc.assert(
        fc.asyncProperty(sequences, ([actions, twice]) => walk(inMemory(), actions, twice)),
        {
          numRuns: RUNS,
          ...(SEED !== undefined && { seed: Number(SEED) }),
          ...(PATH !== undefined && { path: PATH }),
        },
      );
      expect.hasAssertions();
    },
    60_000 + RUNS * LONGEST_MS,
  );

  describe('on the real table', () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await startEngine();
    });
    afterAll(() => engine.stop());

    test(`${RUNS_ON_TABLE} sequences`, async () => {
      await fc.assert(
        fc.asyncProperty(sequences, async ([actions, twice]) => walk(await engine.table(), actions, twice)),
        { numRuns: RUNS_ON_TABLE },
      );
    }, 180_000);
  });
});
