import { open } from 'node:fs/promises';

/** Offset and size of the first superblock of an ext4, in bytes. */
const SUPERBLOCK_AT = 1024;
const SUPERBLOCK_BYTES = 1024;
const BLOCK_BYTES = 4096;
const MAGIC_AT = 0x38;
const MAGIC = 0xef53;

const COMPAT = { hasJournal: 0x4, extAttr: 0x8, dirIndex: 0x20 } as const;
const INCOMPAT = { fileType: 0x2, recover: 0x4, extents: 0x40, is64Bit: 0x80, flexBg: 0x200 } as const;
const RO_COMPAT = {
  sparseSuper: 0x1,
  largeFile: 0x2,
  hugeFile: 0x8,
  dirNlink: 0x20,
  extraIsize: 0x40,
  metadataCsum: 0x400,
} as const;
const sum = (flags: Readonly<Record<string, number>>): number =>
  Object.values(flags).reduce((total, flag) => total | flag, 0);

/** The features of Bulkhead's layers, as arguments of `mkfs.ext4 -O`. Layers with other features are never mounted. */
export const LAYER_FEATURES = [
  'none',
  'has_journal',
  'ext_attr',
  'dir_index',
  'filetype',
  'extent',
  '64bit',
  'flex_bg',
  'sparse_super',
  'large_file',
  'huge_file',
  'dir_nlink',
  'extra_isize',
  'metadata_csum',
].join(',');

/** The kernel sets these flags while the file system is in use. All others never change. */
const MAY_DIFFER = { incompat: INCOMPAT.recover, roCompat: RO_COMPAT.largeFile } as const;

type Width = 1 | 2 | 4;
type Field = readonly [name: string, at: number, width: Width, allowed: readonly number[]];

/**
 * Fields that affect how the kernel or e2fsck reads the disk, with the values in Bulkhead's layers.
 * Source: "Super Block" of the kernel's documentation of ext4's data structures.
 */
const FIELDS: readonly Field[] = [
  ['first data block', 0x14, 4, [0]],
  ['block size', 0x18, 4, [2]],
  ['cluster size', 0x1c, 4, [2]],
  ['blocks per group', 0x20, 4, [32_768]],
  ['clusters per group', 0x24, 4, [32_768]],
  ['behaviour on errors', 0x3c, 2, [1]],
  ['creator', 0x48, 4, [0]],
  ['revision', 0x4c, 4, [1]],
  ['first inode', 0x54, 4, [11]],
  ['inode size', 0x58, 2, [256]],
  ['compatible features', 0x5c, 4, [sum(COMPAT)]],
  ['reserved descriptor blocks', 0xce, 2, [0]],
  ['journal inode', 0xe0, 4, [8]],
  ['journal device', 0xe4, 4, [0]],
  ['descriptor size', 0xfe, 2, [64]],
  ['first meta block group', 0x104, 4, [0]],
  ['flags', 0x160, 4, [1, 2]],
  ['multiple mount protection', 0x166, 2, [0]],
  ['flexible group size', 0x174, 1, [4]],
  ['checksum type', 0x175, 1, [1]],
  ['snapshot', 0x180, 4, [0]],
  ['user quota', 0x240, 4, [0]],
  ['group quota', 0x244, 4, [0]],
  ['backup groups', 0x24c, 4, [0]],
  ['backup groups', 0x250, 4, [0]],
  ['encryption', 0x254, 4, [0]],
  ['project quota', 0x26c, 4, [0]],
  ['file name encoding', 0x27c, 4, [0]],
];

/** The allowed default mount options: user_xattr and acl, which mkfs sets. */
const DEFAULT_OPTIONS_AT = 0x100;
const DEFAULT_OPTIONS = 0xc;
const MOUNT_OPTIONS_AT = 0x200;
const MOUNT_OPTIONS_BYTES = 64;

/**
 * Compares a superblock with the superblocks that Bulkhead creates.
 * @param fileBytes the size of the layer's file
 * @returns the first difference, for the container's owner; null if there is none
 */
export const findForeignField = (superblock: Buffer, fileBytes: number): string | null => {
  if (superblock.length < SUPERBLOCK_BYTES) return 'it is too short for a file system';
  const read = (at: number, width: Width) => superblock.readUIntLE(at, width);
  if (read(MAGIC_AT, 2) !== MAGIC) return 'it has no ext4 file system';
  if ((read(0x60, 4) | MAY_DIFFER.incompat) !== sum(INCOMPAT)) return 'its incompatible features differ';
  if ((read(0x64, 4) | MAY_DIFFER.roCompat) !== sum(RO_COMPAT)) return 'its read-only features differ';
  for (const [name, at, width, allowed] of FIELDS)
    if (!allowed.includes(read(at, width))) return `its ${name} is ${read(at, width)}`;
  if ((read(DEFAULT_OPTIONS_AT, 4) & ~DEFAULT_OPTIONS) !== 0) return 'its default mount options differ';
  const options = superblock.subarray(MOUNT_OPTIONS_AT, MOUNT_OPTIONS_AT + MOUNT_OPTIONS_BYTES);
  if (options.some((byte) => byte !== 0)) return 'it contains mount options';
  return findWrongSize(superblock, fileBytes);
};

const findWrongSize = (superblock: Buffer, fileBytes: number): string | null => {
  const blocks = superblock.readUInt32LE(0x4) + superblock.readUInt32LE(0x150) * 2 ** 32;
  if (blocks * BLOCK_BYTES !== fileBytes)
    return `it has ${blocks} blocks, but its file has ${fileBytes} bytes`;
  const groups = Math.ceil(blocks / superblock.readUInt32LE(0x20));
  const inodesPerGroup = superblock.readUInt32LE(0x28);
  if (inodesPerGroup > 32_768 || superblock.readUInt32LE(0) !== inodesPerGroup * groups)
    return 'its number of inodes does not match its size';
  return null;
};

/** Like {@link findForeignField}, for a layer's file. */
export const findForeignSuperblock = async (path: string): Promise<string | null> => {
  const file = await open(path, 'r');
  try {
    const superblock = Buffer.alloc(SUPERBLOCK_BYTES);
    const { bytesRead } = await file.read(superblock, 0, SUPERBLOCK_BYTES, SUPERBLOCK_AT);
    return findForeignField(superblock.subarray(0, bytesRead), (await file.stat()).size);
  } finally {
    await file.close();
  }
};
