import { open, rename, rm } from 'node:fs/promises';
import type { LinuxDeps } from '../deps.ts';
import { runOrFail } from '../run-command.ts';
import { LAYER_FEATURES } from './superblock.ts';

const MIB = 1024 * 1024;
const BLOCK_BYTES = 4096;
/** The tables that are still to be zeroed are left to the kernel, in idle time. */
const EXTENDED = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0';

/** Makes an empty ext4 in a sparse file, whole or not at all. Of whatever size, its kind is the same. */
export const makeEmptyLayer = async (path: string, megabytes: number): Promise<void> => {
  const partial = `${path}.new`;
  await rm(partial, { force: true });
  const file = await open(partial, 'wx', 0o600);
  await file.truncate(megabytes * MIB);
  await file.close();
  const kind = ['-b', String(BLOCK_BYTES), '-I', '256', '-e', 'continue', '-m', '0'];
  await runOrFail('The empty writable layer could not be made', 'mkfs.ext4', [
    '-q',
    '-F',
    ...[...kind, '-O', LAYER_FEATURES, '-E', EXTENDED],
    '--',
    partial,
  ]);
  await rename(partial, path);
};

interface Piece {
  readonly at: number;
  readonly data: Buffer;
}

/** What of a sparse file is not zero, held in memory (well below a MiB), so that a copy costs a few writes only. */
export class EmptyLayer {
  readonly #bytes: number;
  readonly #pieces: readonly Piece[];

  private constructor(bytes: number, pieces: readonly Piece[]) {
    this.#bytes = bytes;
    this.#pieces = pieces;
  }

  static async read({ artifacts }: LinuxDeps, path: string): Promise<EmptyLayer> {
    const what = 'The empty writable layer could not be read';
    const ranges = await runOrFail(what, artifacts.helper, ['data-ranges', `file=${path}`]);
    const file = await open(path, 'r');
    try {
      const pieces: Piece[] = [];
      for (const line of ranges.split('\n').filter(Boolean)) {
        const [at = 0, length = 0] = line.split(' ').map(Number);
        const data = Buffer.alloc(length);
        await file.read(data, 0, length, at);
        pieces.push(...withoutZeros({ at, data }));
      }
      return new EmptyLayer((await file.stat()).size, pieces);
    } finally {
      await file.close();
    }
  }

  /** Makes a copy, whole or not at all; what is there is replaced. */
  async copyTo(path: string): Promise<void> {
    const partial = `${path}.new`;
    const file = await open(partial, 'w', 0o600);
    try {
      await file.truncate(this.#bytes);
      for (const { at, data } of this.#pieces) await file.write(data, 0, data.length, at);
    } finally {
      await file.close();
    }
    await rename(partial, path);
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** The runs of blocks that are not all zero. */
const withoutZeros = ({ at, data }: Piece): Piece[] => {
  const runs: [from: number, to: number][] = [];
  for (let from = 0; from < data.length; from += BLOCK_BYTES) {
    const block = data.subarray(from, from + BLOCK_BYTES);
    if (block.equals(ZEROS.subarray(0, block.length))) continue;
    const last = runs.at(-1);
    if (last?.[1] === from) last[1] += block.length;
    else runs.push([from, from + block.length]);
  }
  return runs.map(([from, to]) => ({ at: at + from, data: Buffer.from(data.subarray(from, to)) }));
};
