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

/** Writes that fail as on a full disk for as long as the reserve is there. */
const onFullDisk = (error: object) => {
  let tries = 0;
  const act = () => {
    tries += 1;
    if (existsSync(path)) throw Object.assign(new TypeError('full'), error);
    return 'written';
  };
  return { act, tries: () => tries };
};

describe('a reserve of disk', () => {
  test('really takes its room, and is made once', () => {
    const reserve = new DiskReserve(path, BYTES);
    reserve.restore();
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(BYTES);
    const made = statSync(path).mtimeMs;
    new DiskReserve(path, BYTES).restore();
    expect(statSync(path).mtimeMs).toBe(made);
  });

  test.each([{ code: 'ENOSPC' }, { code: 'EDQUOT' }, { errcode: 13 }])(
    'is given to what is written on a full disk (%j), and made again',
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

  test('stays where something else has failed, and given once it is not given twice', () => {
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
