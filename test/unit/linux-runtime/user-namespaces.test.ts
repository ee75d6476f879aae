import { describe, expect, test } from '@jest/globals';
import { overlaps, parseIds } from '../../../agent/runtimes/linux/container/user-namespaces.ts';

describe('the used ids of a machine', () => {
  test('users and groups use one id each', () => {
    const passwd = 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/false\n\n# no user\nbroken:x\n';
    expect(parseIds(passwd, 'single')).toEqual([
      { from: 0, to: 0 },
      { from: 33, to: 33 },
    ]);
  });

  test('subordinate ids are ranges; an empty range is ignored', () => {
    expect(parseIds('ann:100000:65536\nben:1879048192:1\ncid:5:0\ndan:x:y\n', 'range')).toEqual([
      { from: 100_000, to: 165_535 },
      { from: 1_879_048_192, to: 1_879_048_192 },
    ]);
  });

  test('a container’s range overlaps each range with a common id', () => {
    const first = 1_879_048_192;
    const last = first + 65_535;
    expect(overlaps(first, { from: 0, to: first - 1 })).toBe(false);
    expect(overlaps(first, { from: 0, to: first })).toBe(true);
    expect(overlaps(first, { from: last, to: last })).toBe(true);
    expect(overlaps(first, { from: last + 1, to: last + 1 })).toBe(false);
    expect(overlaps(first, { from: 0, to: 2 ** 32 - 1 })).toBe(true);
  });
});
