import { describe, expect, test } from '@jest/globals';
import { Grants } from '../../../../agent/runtimes/linux/network/resolver/grants.ts';
import type { Grant } from '../../../../agent/runtimes/linux/network/resolver/judge.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

const SIZE = 4_096;

/** A router whose sets hold at most `SIZE` addresses, like nft's sets. */
const openRouter = () => {
  const sets = new Map<string, Set<string>>();
  const scripts: string[] = [];
  const clock = new ManualClock();
  const runScript = async (script: string): Promise<void> => {
    scripts.push(script);
    const added = [...script.matchAll(/^add element inet bulkhead (\S+) \{ (\S+) timeout/gm)];
    const after = new Map([...sets].map(([name, addresses]) => [name, new Set(addresses)]));
    for (const [, name = '', address = ''] of added)
      after.set(name, (after.get(name) ?? new Set()).add(address));
    if ([...after.values()].some(({ size }) => size > SIZE))
      throw new TypeError('Too many open files in system');
    for (const [name, addresses] of after) sets.set(name, addresses);
  };
  return { grants: new Grants(runScript, clock), clock, sets, scripts };
};

const addresses = (from: number, count: number, set = 'names_hostile', ttlSeconds = 3_600): Grant[] =>
  Array.from({ length: count }, (_, index) => {
    const number = from + index;
    return { set, address: `1.2.${number >> 8}.${number & 255}`, ttlSeconds };
  });

describe('addresses for the names of rules', () => {
  test('are sent together, and one that does not fit into a full set does not affect the others', async () => {
    const { grants, sets, scripts, clock } = openRouter();
    await grants.add(addresses(0, SIZE));
    expect(scripts).toHaveLength(1);
    const refused = Array.from({ length: 64 }, (_, index) => grants.add(addresses(SIZE + index, 1)));
    const other = grants.add(addresses(0, 1, 'names_other'));
    expect(await Promise.allSettled(refused)).toEqual(
      refused.map(() => expect.objectContaining({ status: 'rejected' })),
    );
    await other;
    expect(scripts).toHaveLength(2);
    expect(sets.get('names_other')).toEqual(new Set(['1.2.0.0']));
    // Existing addresses are still renewed.
    await grants.add(addresses(5, 1));
    // The set has space again once its addresses have expired.
    sets.clear();
    await clock.pass(3_601_000);
    await grants.add(addresses(SIZE, 1));
    expect(sets.get('names_hostile')?.size).toBe(1);
  });

  test('of one container that nft refuses do not affect those of others', async () => {
    const { grants, sets } = openRouter();
    const [large, small] = [grants.add(addresses(0, SIZE)), grants.add(addresses(0, 1, 'names_other'))];
    const more = grants.add(addresses(SIZE, 1));
    await Promise.all([large, small]);
    await expect(more).rejects.toThrow();
    expect(sets.get('names_other')?.size).toBe(1);
  });

  test('expire with the longest time to live of their names', async () => {
    const { grants, scripts, clock } = openRouter();
    await grants.add(addresses(0, 1, 'names', 100));
    await clock.pass(10_000);
    await grants.add([...addresses(0, 1, 'names', 5), ...addresses(0, 1, 'names', 1)]);
    expect(scripts.at(-1)).toContain('{ 1.2.0.0 timeout 90s }');
  });
});
