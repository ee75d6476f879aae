/** One file, folder or device of an archive. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** File type and permissions, as in `stat`. */
  readonly mode: number;
  readonly content?: Uint8Array;
  readonly device?: { readonly major: number; readonly minor: number };
}

export const FOLDER = 0o040000;
export const FILE = 0o100000;
export const CHARACTER_DEVICE = 0o020000;

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const hex = (value: number) => value.toString(16).padStart(8, '0');
const padding = (length: number) => Buffer.alloc((4 - (length % 4)) % 4);

const encode = (entry: CpioEntry, inode: number): Buffer => {
  const name = Buffer.from(`${entry.path}\0`);
  const content = entry.content ?? new Uint8Array();
  const numbers = [inode, entry.mode, 0, 0, 1, 0, content.length, 0, 0];
  const device = [entry.device?.major ?? 0, entry.device?.minor ?? 0];
  const header = Buffer.from(MAGIC + [...numbers, ...device, name.length, 0].map(hex).join(''));
  return Buffer.concat([
    header,
    name,
    padding(header.length + name.length),
    content,
    padding(content.length),
  ]);
};

/**
 * An archive in cpio's "newc" format, as the kernel unpacks it at boot. Every file belongs to root and has the modification time 0.
 * Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
 */
export const encodeCpio = (entries: readonly CpioEntry[]): Buffer =>
  Buffer.concat([
    ...entries.map((entry, index) => encode(entry, index + 1)),
    encode({ path: TRAILER, mode: 0 }, 0),
  ]);
