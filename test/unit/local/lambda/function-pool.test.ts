import { availableParallelism } from 'node:os';
import { expect, test } from '@jest/globals';
import type { InvocationResult } from '../../../../local/engine.ts';
import { FunctionPool, type PoolWorker } from '../../../../local/lambda/function-pool.ts';
import { IdleWorkers } from '../../../../local/lambda/idle-workers.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

const CORES = availableParallelism();
const SECOND = 1_000;

/** A worker whose invocations end when the test ends them. */
class FakeWorker implements PoolWorker {
  readonly ready = Promise.resolve(undefined);
  gone = false;
  finish: (() => void) | undefined;

  run(requestId: string): Promise<InvocationResult> {
    return new Promise((resolve) => {
      this.finish = () => {
        this.finish = undefined;
        resolve({ payload: 'null', requestId });
      };
    });
  }

  async terminate(): Promise<void> {
    this.gone = true;
  }
}

const settled = () => new Promise(setImmediate);

const make = (maxConcurrency = 24, clock = new ManualCloudClock(), idleWorkers = new IdleWorkers(clock)) => {
  const workers: FakeWorker[] = [];
  const createWorker = () => {
    workers.push(new FakeWorker());
    return workers.at(-1) as FakeWorker;
  };
  const settings = {
    ...{ name: 'f', arn: 'arn:f', modulePath: 'file:///f.mjs', handlerName: 'handler', handler: 'f.handler' },
    ...{ timeoutMs: 3_000, memoryMB: 128, logGroup: '/f', variables: {}, runtime: 'nodejs24.x' },
    ...{ maxConcurrency, isReserved: false, deadLetterArn: undefined },
  };
  const pool = new FunctionPool(settings, {
    ...{ clock, createWorker, idleWorkers },
    ...{ newId: () => 'id', log: () => undefined },
  });
  return { clock, pool, workers, running: () => workers.filter(({ gone }) => !gone) };
};

test('starts at most one worker per core for invocations that end soon', async () => {
  const { clock, pool, workers } = make();
  const all = Array.from({ length: 20 * CORES }, () => pool.invoke('{}'));
  for (let round = 0; round < 20; round += 1) {
    await settled();
    clock.advance(200);
    for (const { finish } of workers) finish?.();
  }
  await Promise.all(all);
  expect(workers).toHaveLength(CORES);
});

test('starts another worker at a time while all of them wait for something', async () => {
  const { clock, pool, workers } = make(CORES + 2);
  for (let count = 0; count < 4 * CORES; count += 1) void pool.invoke('{}');
  const counts: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    await settled();
    counts.push(workers.length);
    clock.advance(SECOND);
  }
  expect(counts).toEqual([CORES, CORES + 1, CORES + 2, CORES + 2]);
});

test('keeps a few idle workers for longer than a minute, and starts one for the next invocation', async () => {
  const { clock, pool, workers, running } = make();
  const first = pool.invoke('{}');
  await settled();
  workers[0]?.finish?.();
  await first;
  clock.advance(75 * SECOND);
  expect(running()).toHaveLength(1);
  clock.advance(30 * SECOND);
  expect(running()).toHaveLength(0);
  const next = pool.invoke('{}');
  await settled();
  workers.at(-1)?.finish?.();
  await expect(next).resolves.toMatchObject({ payload: 'null' });
});

test('ends the workers that have been idle for the longest if those of all functions are many', async () => {
  const clock = new ManualCloudClock();
  const idleWorkers = new IdleWorkers(clock);
  const pools = Array.from({ length: 10 }, () => make(1, clock, idleWorkers));
  for (const { pool, workers } of pools) {
    const one = pool.invoke('{}');
    await settled();
    workers[0]?.finish?.();
    await one;
  }
  clock.advance(10 * SECOND);
  expect(pools.flatMap(({ running }) => running())).toHaveLength(10);
  clock.advance(10 * SECOND);
  expect(pools.map(({ running }) => running().length)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
});
