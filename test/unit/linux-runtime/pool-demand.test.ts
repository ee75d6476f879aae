import { describe, expect, test } from '@jest/globals';
import { DEMAND_MS, PoolDemand, poolVmMB } from '../../../agent/runtimes/linux/vm/pool-demand.ts';
import type { VmShape } from '../../../agent/runtimes/linux/vm/qemu-arguments.ts';

const shaped = (ramMB: number): VmShape => ({ ramMB, cpus: 1, accelerator: 'tcg' });
const SMALL = shaped(192);
const LARGE = shaped(512);
const GENERAL = 'general';

const demand = (budgetMB: number) => {
  const pool = new PoolDemand({ budgetMB, general: { shape: SMALL, image: GENERAL } });
  const starts = (shape: VmShape, image: string, ...atMs: number[]) => {
    for (const at of atMs) pool.add({ shape, image }, at);
  };
  const plan = (nowMs: number, unfit: string[] = []) =>
    pool.plan(nowMs, (image) => !unfit.includes(image)).map(({ shape, image }) => `${shape.ramMB} ${image}`);
  return { pool, starts, plan };
};
const room = (...shapes: VmShape[]) => shapes.reduce((sum, shape) => sum + poolVmMB(shape), 0);

describe('what the pool holds', () => {
  test('without starts: VMs of the default shape for all images, as many as the budget has room for', () => {
    expect(demand(room(SMALL, SMALL)).plan(0)).toEqual(['192 general', '192 general']);
    expect(demand(room(SMALL) - 1).plan(0)).toEqual([]);
    expect(demand(0).plan(0)).toEqual([]);
  });

  test('one VM for one image if nearly all starts use it, and at least two', () => {
    const { starts, plan } = demand(room(SMALL));
    starts(SMALL, 'web', 0);
    expect(plan(0)).toEqual(['192 general']);
    starts(SMALL, 'web', 60_000);
    expect(plan(60_000)).toEqual(['192 web']);
    expect(plan(60_000, ['web'])).toEqual(['192 general']);
    starts(SMALL, 'job', 61_000);
    expect(plan(61_000)).toEqual(['192 general']);
    starts(SMALL, 'web', ...Array.from({ length: 7 }, (_, index) => 70_000 + index * 20_000));
    expect(plan(200_000)).toEqual(['192 web']);
  });

  test('several VMs: one for all images, the others by the number of starts of each image', () => {
    const { starts, plan } = demand(room(SMALL, SMALL, SMALL, SMALL));
    starts(SMALL, 'web', 0, 1, 2, 3, 4, 5);
    starts(SMALL, 'job', 6, 7, 8);
    starts(SMALL, 'rare', 9);
    expect(plan(9)).toEqual(['192 web', '192 web', '192 job', '192 general']);
    expect(plan(9, ['job'])).toEqual(['192 web', '192 web', '192 web', '192 general']);
  });

  test('a VM of another shape once two starts would have used it, before those that wait for any start', () => {
    const { starts, plan } = demand(room(LARGE, SMALL));
    starts(LARGE, 'web', 0);
    expect(plan(0)).toEqual(['192 general', '192 general', '192 general']);
    starts(LARGE, 'job', 60_000);
    expect(plan(60_000)).toEqual(['512 general', '192 general']);
  });

  test('as many VMs of a shape as starts came together, if that was more than once', () => {
    const { starts, plan } = demand(room(LARGE, LARGE, LARGE));
    starts(LARGE, 'web', 0, 20_000, 40_000);
    expect(plan(40_000).filter((kind) => kind.startsWith('512'))).toHaveLength(1);
    starts(LARGE, 'web', 60_000, 61_000);
    expect(plan(61_000).filter((kind) => kind.startsWith('512'))).toHaveLength(1);
    starts(LARGE, 'web', 90_000, 91_000);
    expect(plan(91_000).filter((kind) => kind.startsWith('512'))).toHaveLength(2);
  });

  test('the shape with most starts first, and none that the budget or templates have no room for', () => {
    const { starts, plan } = demand(room(LARGE));
    starts(shaped(2048), 'web', 0, 1, 2, 3);
    starts(shaped(8192), 'web', 0, 1, 2, 3);
    starts(SMALL, 'web', 0, 20_000, 40_000);
    starts(LARGE, 'web', 0, 20_000);
    // A large VM takes as much memory as two small ones.
    expect(plan(40_000)).toEqual(['192 web', '192 general']);
    starts(LARGE, 'web', 41_000, 60_000);
    expect(plan(60_000)).toEqual(['512 web']);
  });

  test('nothing for starts of more than five minutes ago, or of images that are gone', () => {
    const { pool, starts, plan } = demand(room(LARGE));
    starts(LARGE, 'web', 0, 1);
    expect([plan(DEMAND_MS - 1), pool.isRecent(DEMAND_MS - 1)]).toEqual([['512 web'], true]);
    expect([plan(DEMAND_MS + 1), pool.isRecent(DEMAND_MS + 1)]).toEqual([
      ['192 general', '192 general'],
      false,
    ]);
    starts(SMALL, 'gone', 400_000, 400_001);
    expect(plan(400_001)).toEqual(['192 gone', '192 general']);
    pool.forgetImages(['gone']);
    expect(plan(400_001)).toEqual(['192 general', '192 general']);
  });
});
