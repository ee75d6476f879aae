import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ExclusiveRunner } from '../../../agent/execute/exclusive-runner.ts';
import { settled } from '../../helpers/manual-clock.ts';

const gate = () => {
  let open = () => undefined as undefined;
  const opened = new Promise<void>((resolve) => {
    open = () => void resolve() as undefined;
  });
  return { opened, open };
};

describe('the exclusive runner', () => {
  test('runs each lane in order, one task at a time, and all lanes within the limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), ticks: fc.nat(3), fails: fc.boolean() }), {
          maxLength: 25,
        }),
        fc.integer({ min: 1, max: 3 }),
        async (tasks, limit) => {
          const runner = new ExclusiveRunner(limit);
          const running: string[] = [];
          const order = new Map<string, number[]>();
          const all = tasks.map(({ lane, ticks, fails }, index) =>
            runner.run(lane, async () => {
              expect(running).not.toContain(lane);
              running.push(lane);
              expect(running.length).toBeLessThanOrEqual(limit);
              order.set(lane, [...(order.get(lane) ?? []), index]);
              for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
              running.splice(running.indexOf(lane), 1);
              if (fails) throw new TypeError('told to');
            }),
          );
          const outcomes = await Promise.allSettled(all);
          expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(
            tasks.map(({ fails }) => fails),
          );
          for (const indexes of order.values()) expect(indexes).toEqual([...indexes].sort((x, y) => x - y));
          await runner.idle();
          expect(runner.busy).toEqual([]);
        },
      ),
    );
  });

  test('a held lane stays closed after its task has ended, but uses no slot of the limit', async () => {
    const runner = new ExclusiveRunner(1);
    const lasting = gate();
    const done: string[] = [];
    await runner.run('a', async (lane) => lane.hold(lasting.opened));
    const next = runner.run('a', async () => void done.push('a'));
    await runner.run('b', async () => void done.push('b'));
    await settled();
    expect(done).toEqual(['b']);
    lasting.open();
    await next;
    expect(done).toEqual(['b', 'a']);
  });

  test('a failed hold releases the lane', async () => {
    const runner = new ExclusiveRunner(1);
    await runner.run('a', async (lane) => lane.hold(Promise.reject(new TypeError('in the end'))));
    await expect(runner.run('a', async () => 'next')).resolves.toBe('next');
  });
});
