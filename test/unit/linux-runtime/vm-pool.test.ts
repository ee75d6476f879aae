import { describe, expect, test } from '@jest/globals';
import { sleep } from '../../../agent/clock.ts';
import { DEMAND_MS, type PoolKind, poolVmMB } from '../../../agent/runtimes/linux/vm/pool-demand.ts';
import type { VmShape } from '../../../agent/runtimes/linux/vm/qemu-arguments.ts';
import { type PoolVm, VmPool } from '../../../agent/runtimes/linux/vm/vm-pool.ts';
import { ManualClock, settled } from '../../helpers/manual-clock.ts';

const shaped = (ramMB: number): VmShape => ({ ramMB, cpus: 1, accelerator: 'tcg' });
const SMALL = shaped(192);
const LARGE = shaped(512);
const GENERAL = 'general';
/** Times of a real host: to create a VM, and from a claim to the refill. */
const MAKE_MS = 1_500;
const REFILL_MS = 300;

class FakeVm implements PoolVm {
  alive = true;
  readonly connected = true;
  readonly kind: PoolKind;
  readonly #ended = Promise.withResolvers<Error>();

  constructor(kind: PoolKind) {
    this.kind = kind;
  }
  ended = () => this.#ended.promise;
  async destroy(): Promise<void> {
    this.end();
  }
  end(): void {
    this.alive = false;
    this.#ended.resolve(new Error('ended'));
  }
}

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const opened = (budgetMB: number, { failing = [] as string[] } = {}) => {
  const clock = new ManualClock();
  const made: FakeVm[] = [];
  const claimed = new Set<FakeVm>();
  const waiting = () => made.filter((vm) => vm.alive && !claimed.has(vm));
  let mostMB = 0;
  const pool = new VmPool<FakeVm>({
    clock,
    log: SILENT,
    budgetMB,
    general: { shape: SMALL, image: GENERAL },
    hasImage: () => true,
    make: async (kind, { isTrusted, signal }) => {
      expect(isTrusted).toBe(kind.image === GENERAL);
      const vm = new FakeVm(kind);
      made.push(vm);
      mostMB = Math.max(
        mostMB,
        waiting().reduce((sum, one) => sum + poolVmMB(one.kind.shape), 0),
      );
      await sleep(clock, MAKE_MS, signal).catch((error) => {
        vm.end();
        throw error;
      });
      if (!failing.includes(kind.image)) return vm;
      vm.end();
      throw new Error('the rehearsal failed');
    },
  });
  /** Starts a container: a claim, and later a refill. Returns whether it got a VM. */
  const start = (shape: VmShape, image: string): boolean => {
    const vm = pool.claim(shape, image);
    clock.after(REFILL_MS, () => void pool.refill());
    if (vm === null) return false;
    expect([vm.kind.shape, [image, GENERAL].includes(vm.kind.image), claimed.has(vm)]).toEqual([
      shape,
      true,
      false,
    ]);
    claimed.add(vm);
    return true;
  };
  const kinds = () => waiting().map(({ kind }) => `${kind.shape.ramMB} ${kind.image}`);
  const full = async () => {
    void pool.refill();
    await clock.pass(60_000);
  };
  return { clock, pool, start, kinds, full, waiting, mostMB: () => mostMB };
};

describe('the pool of utility VMs', () => {
  test.each([
    { everyMs: 2_000, vms: 1 },
    { everyMs: 1_900, vms: 2 },
    { everyMs: 10_000, vms: 1 },
    { everyMs: 240_000, vms: 1 },
  ])(
    'is never empty under a steady load: a start every $everyMs ms, room for $vms',
    async ({ everyMs, vms }) => {
      const { clock, start, full } = opened(vms * poolVmMB(SMALL));
      await full();
      const served: boolean[] = [];
      for (let times = 0; times < 100; times++) {
        served.push(start(SMALL, 'web'));
        await clock.pass(everyMs);
      }
      expect(served.filter(Boolean)).toHaveLength(100);
    },
  );

  test('is never empty under a steady load of another shape and several images, after the first two starts', async () => {
    const { clock, start, full, mostMB } = opened(poolVmMB(LARGE) + poolVmMB(SMALL));
    await full();
    const served: boolean[] = [];
    for (let times = 0; times < 100; times++) {
      served.push(start(LARGE, ['web', 'job', 'web'][times % 3] ?? ''));
      await clock.pass(4_000);
      expect(start(SMALL, 'small')).toBe(true);
      await clock.pass(4_000);
    }
    expect(served.slice(0, 2)).toEqual([false, false]);
    expect(served.slice(2).filter(Boolean)).toHaveLength(98);
    expect(mostMB()).toBeLessThanOrEqual(poolVmMB(LARGE) + poolVmMB(SMALL));
  });

  test('is ready for bursts as large as earlier ones, within its budget', async () => {
    const { clock, start, full, kinds } = opened(4 * poolVmMB(SMALL));
    await full();
    for (let bursts = 0; bursts < 5; bursts++) {
      for (let times = 0; times < 4; times++) expect(start(SMALL, 'web')).toBe(true);
      await clock.pass(30_000);
    }
    expect(kinds().toSorted()).toEqual(['192 general', '192 web', '192 web', '192 web']);
  });

  test('returns to the default when a demand is over', async () => {
    const { clock, start, full, kinds } = opened(poolVmMB(LARGE));
    await full();
    for (let times = 0; times < 3; times++) {
      start(LARGE, 'web');
      await clock.pass(10_000);
    }
    expect(kinds()).toEqual(['512 web']);
    await clock.pass(2 * DEMAND_MS);
    expect(kinds()).toEqual(['192 general', '192 general']);
  });

  test('never exceeds its budget, whatever starts come', async () => {
    const budgetMB = poolVmMB(LARGE) + 2 * poolVmMB(SMALL);
    const { clock, start, full, mostMB } = opened(budgetMB);
    await full();
    const shapes = [SMALL, LARGE, shaped(256), shaped(2048), shaped(8192)];
    for (let times = 0; times < 300; times++) {
      start(shapes[(times * 7) % shapes.length] ?? SMALL, ['web', 'job', GENERAL][(times * 5) % 3] ?? '');
      await clock.pass((times * 37) % 4_000);
    }
    expect(mostMB()).toBeLessThanOrEqual(budgetMB);
    expect(mostMB()).toBeGreaterThan(0);
  });

  test('replaces a VM that exits while it waits', async () => {
    const { clock, full, waiting, kinds, pool } = opened(poolVmMB(SMALL));
    await full();
    waiting()[0]?.end();
    await settled();
    expect(pool.readyCount).toBe(0);
    await clock.pass(MAKE_MS);
    await settled();
    expect([pool.readyCount, kinds()]).toEqual([1, ['192 general']]);
  });

  test('uses the general image for an image whose rehearsal fails', async () => {
    const { clock, start, full, kinds } = opened(poolVmMB(SMALL), { failing: ['broken'] });
    await full();
    for (let times = 0; times < 4; times++) {
      expect(start(SMALL, 'broken')).toBe(true);
      await clock.pass(30_000);
    }
    expect(kinds()).toEqual(['192 general']);
  });

  test('removes the VMs of an image that is removed, and all when it is closed', async () => {
    const { clock, start, full, kinds, pool } = opened(2 * poolVmMB(SMALL));
    await full();
    start(SMALL, 'web');
    start(SMALL, 'web');
    await clock.pass(30_000);
    expect(kinds().toSorted()).toEqual(['192 general', '192 web']);
    const forgotten = pool.forgetImages(['web']);
    await forgotten;
    expect(kinds()).not.toContain('192 web');
    await clock.pass(30_000);
    expect(kinds()).toEqual(['192 general', '192 general']);
    await pool.close();
    expect(kinds()).toEqual([]);
  });
});
