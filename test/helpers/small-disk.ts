import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MIB = 1024 * 1024;

/**
 * A small file system, mounted at a folder, so that a test can fill it without filling the machine's disk. Needs root.
 */
export class SmallDisk {
  readonly folder: string;
  readonly #image: string;

  constructor(folder: string, megabytes: number) {
    this.folder = folder;
    this.#image = `${folder}.disk`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(this.#image, '');
    truncateSync(this.#image, megabytes * MIB);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', this.#image]);
    execFileSync('mount', ['-o', 'loop', this.#image, folder]);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Uses all free space, as another program of the machine might. */
  fill(): void {
    const filler = join(this.folder, 'filler');
    // Most of the space at once, the rest byte by byte.
    execFileSync('fallocate', ['-l', String(Math.max(1, this.freeBytes - 8 * MIB)), filler]);
    execFileSync('sh', ['-c', 'cat /dev/zero >> "$1" 2>/dev/null || true', 'sh', filler]);
  }

  empty(): void {
    rmSync(join(this.folder, 'filler'), { force: true });
  }

  remove(): void {
    execFileSync('umount', [this.folder]);
    rmSync(this.#image);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
