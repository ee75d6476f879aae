import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DiskReserve } from '../../../agent/disk-reserve.ts';

const BYTES = 1024 * 1024;
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reserve-'));
  path = join(folder, 'reserve');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Simulates writes on a disk that is full as long as the reserve exists. */
const onFullDisk = (error: object) => {
  let tries = 0;
  const act = () => {
    tries += 1;
    if (existsSync(path)) throw Object.assign(new TypeError('full'), error);
    return 'written';
  };
  return { act, tries: () => tries };
};

describe('the disk reserve', () => {
  test('allocates its space and is created once', () => {
    const reserve = new DiskReserve(path, BYTES);
    reserve.restore();
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(BYTES);
    const made = statSync(path).mtimeMs;
    new DiskReserve(path, BYTES).restore();
    expect(statSync(path).mtimeMs).toBe(made);
  });

  test.each([{ code: 'ENOSPC' }, { code: 'EDQUOT' }, { errcode: 13 }])(
    'is released for a write on a full disk (%j) and recreated',
    async (error) => {
      const reserve = new DiskReserve(path, BYTES);
      reserve.restore();
      const first = onFullDisk(error);
      expect([reserve.use(first.act), first.tries()]).toEqual(['written', 2]);
      expect(existsSync(path)).toBe(false);
      const second = onFullDisk(error);
      expect([await reserve.useFor(async () => second.act()), second.tries()]).toEqual(['written', 2]);
      reserve.restore();
      expect(statSync(path).size).toBe(BYTES);
    },
  );

  test('is not released for another failure, or twice for one write', () => {
    const reserve = new DiskReserve(path, BYTES);
    reserve.restore();
    expect(() => reserve.use(onFullDisk({ code: 'EACCES' }).act)).toThrow('full');
    expect(existsSync(path)).toBe(true);
    reserve.release();
    const fail = () => {
      throw Object.assign(new TypeError('still full'), { code: 'ENOSPC' });
    };
    expect(() => reserve.use(fail)).toThrow('still full');
  });
});
