import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import type { LinuxDeps } from '../deps.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import { LAYER_FEATURES } from './superblock.ts';

const BLOCK_BYTES = 4096;
/** The inode tables are not written, because a new file already reads as zeros. */
const EXTENDED = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0';

/** Size of a block group with blocks of 4 KiB. */
const GROUP_MB = 128;
/** If the last group is smaller, `mkfs.ext4` uses another group size, which `superblock.ts` refuses. */
const LEAST_LAST_GROUP_MB = 8;

/** The real size of a layer, at most 7 MiB less than the requested size. */
export const layerSizeMB = (megabytes: number): number => {
  const last = megabytes % GROUP_MB;
  return last < LEAST_LAST_GROUP_MB ? megabytes - last : megabytes;
};

/** Creates an empty ext4 in a sparse file atomically. Its features do not depend on the size. */
export const makeEmptyLayer = async (path: string, megabytes: number): Promise<void> => {
  const partial = `${path}.new`;
  await rm(partial, { force: true });
  const file = await open(partial, 'wx', 0o600);
  await file.truncate(megabytes * MIB);
  await file.close();
  const kind = ['-b', String(BLOCK_BYTES), '-I', '256', '-e', 'continue', '-m', '0'];
  await runOrFail('The empty writable layer could not be created', 'mkfs.ext4', [
    '-q',
    '-F',
    ...[...kind, '-O', LAYER_FEATURES, '-E', EXTENDED],
    '--',
    partial,
  ]);
  await rename(partial, path);
};

/** Number of empty layers to cache, for the sizes used last. Each has about 200 KiB at the default size. */
const KEPT_BASES = 4;

/** The empty layers of this host, one for each size, created on first use. */
export class EmptyLayers {
  readonly #deps: LinuxDeps;
  /** By size, in the order of their last use. */
  readonly #bases = new Map<number, Promise<EmptyLayer>>();

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
  }

  get(megabytes: number): Promise<EmptyLayer> {
    const base = this.#bases.get(megabytes) ?? this.#make(megabytes);
    this.#bases.delete(megabytes);
    this.#bases.set(megabytes, base);
    base.catch(() => this.#bases.delete(megabytes));
    for (const size of [...this.#bases.keys()].slice(0, -KEPT_BASES)) this.#bases.delete(size);
    return base;
  }

  async #make(megabytes: number): Promise<EmptyLayer> {
    const folder = join(this.#deps.layout.state, 'placeholders');
    await mkdir(folder, { recursive: true });
    const file = join(folder, `layer-${this.#deps.newId()}.ext4`);
    try {
      await makeEmptyLayer(file, layerSizeMB(megabytes));
      return await EmptyLayer.read(this.#deps, file);
    } finally {
      await rm(file, { force: true });
    }
  }
}

interface Piece {
  readonly at: number;
  readonly data: Buffer;
}

export const noRoomForLayer = (megabytes: number): RuntimeError =>
  new RuntimeError(
    'step-failed',
    `The host has too little disk space for a writable layer of ${megabytes} MiB`,
    {
      suggestion: 'Remove containers or images from the host, or request less disk.',
    },
  );

/** The non-zero blocks of a sparse file in memory (well below 1 MiB), so that a copy needs few writes. */
class EmptyLayer {
  readonly #deps: LinuxDeps;
  readonly #bytes: number;
  readonly #pieces: readonly Piece[];

  private constructor(deps: LinuxDeps, bytes: number, pieces: readonly Piece[]) {
    this.#deps = deps;
    this.#bytes = bytes;
    this.#pieces = pieces;
  }

  static async read(deps: LinuxDeps, path: string): Promise<EmptyLayer> {
    const what = 'The empty writable layer could not be read';
    const ranges = await runOrFail(what, deps.artifacts.helper, ['data-ranges', `file=${path}`]);
    const file = await open(path, 'r');
    try {
      const pieces: Piece[] = [];
      for (const line of ranges.split('\n').filter(Boolean)) {
        const [at = 0, length = 0] = line.split(' ').map(Number);
        const data = Buffer.alloc(length);
        await file.read(data, 0, length, at);
        pieces.push(...withoutZeros({ at, data }));
      }
      return new EmptyLayer(deps, (await file.stat()).size, pieces);
    } finally {
      await file.close();
    }
  }

  /**
   * Creates a copy with all its disk space allocated, atomically. Replaces an existing file.
   * @param mayAppear the copy gets its name when this resolves, and is deleted if this rejects
   * @throws {RuntimeError} `step-failed` if the host has too little disk space
   */
  async copyTo(path: string, mayAppear?: Promise<void>): Promise<void> {
    const partial = `${path}.new`;
    try {
      const file = await open(partial, 'w', 0o600);
      try {
        await this.#allocate(partial);
        for (const { at, data } of this.#pieces) await file.write(data, 0, data.length, at);
      } finally {
        await file.close();
      }
      await mayAppear;
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** A file system without preallocation allocates on write. Then only the reservation limits the disk space. */
  async #allocate(path: string): Promise<void> {
    const outcome = await runCommand('fallocate', ['-l', String(this.#bytes), '--', path]);
    if (outcome.code === 0) return;
    if (!outcome.stderr.includes('not supported')) throw noRoomForLayer(this.#bytes / MIB);
    this.#deps.log.warn('the file system does not support preallocation', { path });
    const file = await open(path, 'r+');
    await file.truncate(this.#bytes).finally(() => file.close());
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Runs of blocks with non-zero bytes. */
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
