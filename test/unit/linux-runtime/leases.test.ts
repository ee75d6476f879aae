import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Leases } from '../../../agent/runtimes/linux/leases.ts';

const folders: string[] = [];
const folder = () => {
  const made = mkdtempSync(join(tmpdir(), 'bulkhead-leases-'));
  folders.push(made);
  return made;
};
afterEach(() => {
  for (const one of folders.splice(0)) rmSync(one, { recursive: true, force: true });
});

describe('leases', () => {
  test('200 parallel acquisitions get different numbers, and repeats get the same numbers', async () => {
    const leases = new Leases(folder(), 'tag');
    const ids = Array.from({ length: 200 }, (_, index) => `id-${index}`);
    const values = await Promise.all(ids.map((id) => leases.take('uid', id)));
    expect(new Set(values).size).toBe(200);
    expect(await leases.take('uid', 'id-7')).toBe(values[7]);
    expect(await leases.held('uid')).toHaveLength(200);
  });

  test('depend on the id, so that a released number is acquired again', async () => {
    const leases = new Leases(folder(), 'tag');
    const first = await leases.take('address', 'one');
    await leases.release('address', 'one');
    expect(await leases.held('address')).toEqual([]);
    expect(await leases.take('address', 'one')).toBe(first);
  });

  test('of one host are not available to another host on the same machine', async () => {
    const shared = folder();
    const mine = new Leases(shared, 'mine');
    const theirs = new Leases(shared, 'theirs');
    expect(await mine.takeExactly('tcp', 8080, 'a')).toBe(true);
    expect(await mine.takeExactly('tcp', 8080, 'a')).toBe(true);
    expect(await theirs.takeExactly('tcp', 8080, 'a')).toBe(false);
    await theirs.release('tcp', 'a');
    expect(await mine.held('tcp')).toEqual([{ value: 8080, id: 'a' }]);
    expect(await mine.take('uid', 'same')).not.toBe(await theirs.take('uid', 'same'));
  });
});
