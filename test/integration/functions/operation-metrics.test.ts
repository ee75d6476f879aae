import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LATE_SECONDS, METRICS } from '../../../core/contract/deployment.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';

let engine: Engine;
let world: World;

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
});

/** The lines of a metric, without CloudWatch's part. */
const written = (metric: string): object[] =>
  world.lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => metric in line)
    .map(({ _aws, ...rest }) => rest);

describe('the share of late operations', () => {
  test('an operation that ends in time is not late', async () => {
    await world.connect(await world.addHost());
    await world.settle();
    await world.create();
    world.clock.now += (LATE_SECONDS - 1) * 1000;
    await world.settle();
    expect(written(METRICS.operationLate)).toEqual([
      { kind: 'create', seconds: LATE_SECONDS - 1, [METRICS.operationLate]: 0 },
    ]);
  });

  test('one that took longer is late', async () => {
    await world.connect(await world.addHost());
    await world.settle();
    await world.create();
    world.clock.now += LATE_SECONDS * 1000;
    await world.settle();
    expect(written(METRICS.operationLate)).toEqual([
      { kind: 'create', seconds: LATE_SECONDS, [METRICS.operationLate]: 1 },
    ]);
  });

  test('one that waits for capacity is late, with its reason', async () => {
    await world.create();
    await world.settle();
    expect(written(METRICS.operationLate)).toEqual([
      { reason: expect.stringContaining('waiting for'), [METRICS.operationLate]: 1 },
    ]);
  });
});

test('a failed operation is counted with its kind', async () => {
  const host = await world.addHost();
  await world.connect(host);
  await world.settle();
  host.failing.add('startContainer');
  await world.create();
  await world.settle();
  expect(written(METRICS.operationFailed)).toEqual([{ kind: 'create', [METRICS.operationFailed]: 1 }]);
});
