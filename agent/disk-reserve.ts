import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { MIB } from './units.ts';

/** The reserve is recreated only if this much space remains, in multiples of the reserve. */
const LEAVES = 4;

const isFull = (error: unknown): boolean => {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT' || errcode === SQLITE_FULL;
};
/** SQLite's result code for a full disk and for a file at its limit. */
const SQLITE_FULL = 13;

/**
 * A file that reserves disk space for essential writes. On a full disk it is deleted, and it is recreated once there is
 * space.
 */
export class DiskReserve {
  readonly #path: string;
  readonly #bytes: number;
  #held: boolean;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#held = sizeOf(path) === bytes;
  }

  /** Creates the file if there is space. */
  restore(): void {
    if (this.#held) return;
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      if (bavail * bsize < LEAVES * this.#bytes) return;
      const file = openSync(this.#path, 'w', 0o600);
      try {
        // Written in full, because a sparse file reserves no space.
        for (let at = 0; at < this.#bytes; at += MIB)
          writeSync(file, Buffer.alloc(Math.min(MIB, this.#bytes - at)));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      this.#held = true;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.release();
    }
  }

  /** Releases the space for the next write. False if it was released before. */
  release(): boolean {
    const held = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return held;
  }

  /** Runs a write. If the disk is full, releases the reserve and runs the write again. */
  use<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFull(error) || !this.release()) throw error;
      return act();
    }
  }

  /** Like {@link use}. */
  async useFor<T>(act: () => Promise<T>): Promise<T> {
    this.restore();
    try {
      return await act();
    } catch (error) {
      if (!isFull(error) || !this.release()) throw error;
      return act();
    }
  }
}

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};

export { isFull };
