import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { MIB } from './units.ts';

/** The reserve is made again only where that leaves this much of the disk, in multiples of the reserve. */
const LEAVES = 4;

const isFull = (error: unknown): boolean => {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT' || errcode === SQLITE_FULL;
};
/** SQLite's result code both for a full disk and for a file at its bound. */
const SQLITE_FULL = 13;

/**
 * A file that only takes room, so that what matters can still be written on a full disk: it is removed then, and made
 * again once there is room.
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

  /** Makes the file, if there is room for it. */
  restore(): void {
    if (this.#held) return;
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      if (bavail * bsize < LEAVES * this.#bytes) return;
      const file = openSync(this.#path, 'w', 0o600);
      try {
        // Really written: a sparse file takes no room.
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

  /** Gives the room to whatever is written next. False if it has been given before. */
  release(): boolean {
    const held = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return held;
  }

  /** Does what writes; where the disk is full, once more with the reserve's room. */
  use<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFull(error) || !this.release()) throw error;
      return act();
    }
  }

  /** As {@link use}. */
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
