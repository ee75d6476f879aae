import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { InvocationResult } from '../../../../local/engine.ts';
import { type BatchDeps, deliverBatch } from '../../../../local/streams/deliver-batch.ts';
import { readMappingSettings } from '../../../../local/streams/mapping-settings.ts';
import type { StreamRecord } from '../../../../local/streams/stream-record.ts';
import { resource } from '../../../helpers/local-fixtures.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

const record = (number: number, createdAt = Date.UTC(2026, 10, 23)): StreamRecord => ({
  position: String(number),
  sequenceNumber: `seq-${number}`,
  itemKey: 'k',
  createdAt,
  event: { number },
});
const records = (count: number): StreamRecord[] => Array.from({ length: count }, (_, index) => record(index));
const numbersOf = (list: readonly StreamRecord[]): number[] => list.map((one) => Number(one.position));

/** A function that fails if a batch has a poisoned record: it reports the items or throws. */
const setUp = (
  properties: Record<string, unknown>,
  poison: readonly number[],
  options: { clock?: ManualCloudClock; stopAfter?: number; answer?: string } = {},
) => {
  const calls: number[][] = [];
  const done: number[] = [];
  const givenUp: { numbers: number[]; reason: string; attempts: number }[] = [];
  let pauses = 0;
  const settings = readMappingSettings(
    resource('AWS::Lambda::EventSourceMapping', { StartingPosition: 'LATEST', ...properties }),
  );
  const answer = (numbers: number[]): InvocationResult => {
    if (options.answer !== undefined) return { payload: options.answer, requestId: 'r' };
    const failed = numbers.filter((number) => poison.includes(number));
    if (failed.length === 0) return { payload: 'null', requestId: 'r' };
    if (!settings.reportsItemFailures)
      return { payload: '{"errorType":"E"}', functionError: 'Unhandled', requestId: 'r' };
    const batchItemFailures = failed.map((number) => ({ itemIdentifier: `seq-${number}` }));
    return { payload: JSON.stringify({ batchItemFailures }), requestId: 'r' };
  };
  const deps: BatchDeps = {
    settings,
    clock: options.clock ?? new ManualCloudClock(Date.UTC(2026, 10, 23)),
    invoke: async (payload) => {
      const numbers = (JSON.parse(payload) as { Records: { number: number }[] }).Records.map(
        (one) => one.number,
      );
      calls.push(numbers);
      return answer(numbers);
    },
    done: (list) => done.push(...numbersOf(list)),
    giveUp: (list, reason, attempts) => givenUp.push({ numbers: numbersOf(list), reason, attempts }),
    pause: async () => {
      pauses += 1;
      return pauses <= (options.stopAfter ?? Number.POSITIVE_INFINITY);
    },
    repeats: () => false,
  };
  return { deps, calls, done, givenUp };
};

const partial = { FunctionResponseTypes: ['ReportBatchItemFailures'] };

describe('one batch of a stream', () => {
  test('a successful batch is done after one call', async () => {
    const { deps, calls, done } = setUp({}, []);
    expect(await deliverBatch(records(3), deps)).toBe(true);
    expect(calls).toEqual([[0, 1, 2]]);
    expect(done).toEqual([0, 1, 2]);
  });

  test('without bisecting, the whole batch is retried and then discarded', async () => {
    const { deps, calls, done, givenUp } = setUp({ MaximumRetryAttempts: 2 }, [1]);
    await deliverBatch(records(3), deps);
    expect(calls).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(givenUp).toEqual([{ numbers: [0, 1, 2], reason: 'RetryAttemptsExhausted', attempts: 3 }]);
    expect(done).toEqual([0, 1, 2]);
  });

  test('bisecting isolates the poisoned record, in order, without spending retries', async () => {
    const { deps, calls, givenUp } = setUp(
      { MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true },
      [2],
    );
    await deliverBatch(records(4), deps);
    expect(calls).toEqual([[0, 1, 2, 3], [0, 1], [2, 3], [2], [2], [3]]);
    expect(givenUp).toEqual([{ numbers: [2], reason: 'RetryAttemptsExhausted', attempts: 2 }]);
  });

  test('with item failures, records before the lowest failure are done and not delivered again', async () => {
    const { deps, calls, done, givenUp } = setUp({ MaximumRetryAttempts: 1, ...partial }, [2, 4]);
    await deliverBatch(records(5), deps);
    expect(calls).toEqual([
      [0, 1, 2, 3, 4],
      [2, 3, 4],
    ]);
    expect(givenUp.map((one) => one.numbers)).toEqual([[2, 3, 4]]);
    expect(done).toEqual([0, 1, 2, 3, 4]);
  });

  test.each([
    ['an unknown item', '{"batchItemFailures":[{"itemIdentifier":"seq-1"},{"itemIdentifier":"elsewhere"}]}'],
    ['an empty identifier', '{"batchItemFailures":[{"itemIdentifier":""}]}'],
    ['a value that is not a list', '{"batchItemFailures":"all"}'],
  ])('a report of %s fails the whole batch', async (_name, answer) => {
    const { deps, givenUp } = setUp({ MaximumRetryAttempts: 0, ...partial }, [], { answer });
    await deliverBatch(records(2), deps);
    expect(givenUp.map((one) => one.numbers)).toEqual([[0, 1]]);
  });

  test.each(['null', '{}', '{"batchItemFailures":[]}', '{"batchItemFailures":null}'])(
    'the result %s is a success',
    async (answer) => {
      const { deps, done } = setUp(partial, [], { answer });
      expect(await deliverBatch(records(2), deps)).toBe(true);
      expect(done).toEqual([0, 1]);
    },
  );

  test('records that are too old are discarded, and newer ones are delivered', async () => {
    const clock = new ManualCloudClock(100_000);
    const { deps, calls, givenUp } = setUp({ MaximumRecordAgeInSeconds: 60 }, [], { clock });
    await deliverBatch([record(0, 10_000), record(1, 90_000)], deps);
    expect(givenUp).toEqual([{ numbers: [0], reason: 'RecordAgeExceeded', attempts: 0 }]);
    expect(calls).toEqual([[1]]);
  });

  test('a stop ends the retries, and failed records do not count as done', async () => {
    const { deps, done, givenUp } = setUp(partial, [1], { stopAfter: 3 });
    expect(await deliverBatch(records(3), deps)).toBe(false);
    expect(done).toEqual([0]);
    expect(givenUp).toEqual([]);
  });

  test('with any poisoned records: each record is processed once, in order, and only poison is discarded', async () => {
    const anyPoison = fc.uniqueArray(fc.integer({ min: 0, max: 19 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(anyPoison, fc.boolean(), async (poison, reports) => {
        const { deps, done, givenUp } = setUp(
          { MaximumRetryAttempts: 1, BisectBatchOnFunctionError: true, ...(reports && partial) },
          poison,
        );
        expect(await deliverBatch(records(20), deps)).toBe(true);
        expect(done).toEqual(numbersOf(records(20)));
        const lost = givenUp.flatMap((one) => one.numbers);
        for (const number of poison) expect(lost).toContain(number);
        if (!reports) expect(lost.sort()).toEqual([...poison].sort());
      }),
      { numRuns: 60 },
    );
  });
});
