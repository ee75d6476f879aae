import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeEmptyLayer } from '../../../agent/runtimes/linux/container/empty-layer.ts';
import {
  findForeignField,
  findForeignSuperblock,
} from '../../../agent/runtimes/linux/container/superblock.ts';

const SIZES_MB = [256, 2048, 10_240];

describe('the superblock of a writable layer', () => {
  const folder = mkdtempSync(join(tmpdir(), 'superblock-'));
  const pathOf = (megabytes: number) => join(folder, `${megabytes}.ext4`);
  beforeAll(async () => {
    for (const megabytes of SIZES_MB) await makeEmptyLayer(pathOf(megabytes), megabytes);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const made = () => {
    const superblock = Buffer.alloc(1024);
    const file = openSync(pathOf(2048), 'r');
    readSync(file, superblock, 0, 1024, 1024);
    closeSync(file);
    return { superblock, bytes: statSync(pathOf(2048)).size };
  };
  const changed = (at: number, value: number, width: number) => {
    const { superblock, bytes } = made();
    superblock.writeUIntLE(value, at, width);
    return findForeignField(superblock, bytes);
  };

  test.each(SIZES_MB)('of a new layer of %i MiB is accepted', async (megabytes) => {
    expect(await findForeignSuperblock(pathOf(megabytes))).toBeNull();
  });

  test.each([
    ['a journal to replay', 0x60, 0x2c6, 4],
    ['a mount count', 0x34, 900, 2],
    ['a time', 0x2c, 1_900_000_000, 4],
    ['free blocks', 0xc, 7, 4],
    ['a recorded error', 0x194, 3, 4],
  ])('may differ in what the kernel writes: %s', (_, at, value, width) => {
    expect(changed(at, value, width)).toBeNull();
  });

  test.each([
    ['magic number', 0x38, 0, 2],
    ['block size', 0x18, 6, 4],
    ['blocks per group of zero', 0x20, 0, 4],
    ['inodes per group of zero', 0x28, 0, 4],
    ['behaviour on errors', 0x3c, 3, 2],
    ['revision', 0x4c, 0, 4],
    ['inode size', 0x58, 128, 2],
    ['no journal', 0x5c, 0x28, 4],
    ['an external journal', 0x60, 0x2ca, 4],
    ['casefolding', 0x60, 0x202c2, 4],
    ['inline data', 0x60, 0x82c2, 4],
    ['verity', 0x64, 0x846b, 4],
    ['journal inode', 0xe0, 2, 4],
    ['journal device', 0xe4, 0x700, 4],
    ['default mount options', 0x100, 0x6c, 4],
    ['flags', 0x160, 5, 4],
    ['mount options', 0x200, 0x6a, 1],
    ['the last byte of the mount options', 0x23f, 1, 1],
    ['user quota', 0x240, 3, 4],
    ['blocks', 0x4, 1, 4],
    ['blocks beyond 32 bits', 0x150, 1, 4],
    ['inodes', 0x0, 0xffffffff, 4],
  ])('is refused with another %s', (_, at, value, width) => {
    expect(changed(at, value, width)).toEqual(expect.any(String));
  });

  test('is refused if the file is shorter than the file system', () => {
    const { superblock, bytes } = made();
    expect(findForeignField(superblock, bytes - 1)).toMatch(/its file has/);
    expect(findForeignField(superblock.subarray(0, 100), bytes)).toMatch(/too short/);
  });
});
