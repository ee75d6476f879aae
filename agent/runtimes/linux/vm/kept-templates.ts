import { existsSync, renameSync } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../../../units.ts';
import { allocatedBytes } from '../disk-space.ts';

/** Ends the name of one that is being removed. */
const GONE = '.gone';
const MAX_TEMPLATES = 8;
/** Of the machine's memory. */
const MEMORY_SHARE = 1 / 32;
const LEAST_MEMORY_MB = 128;
const MAX_MEMORY_MB = 512;
/** A VM of more memory takes too much of it for page tables alone to be worth keeping: it boots. */
export const MAX_TEMPLATE_RAM_MB = 4096;
/** What making one takes, besides what it keeps: one is made at a time. */
const MAKING_MB = 256;

export interface TemplateLimits {
  readonly count: number;
  /** Memory that the templates may hold in all; they take as much disk. */
  readonly memoryMB: number;
}

export const templateLimits = (machineMemoryMB: number): TemplateLimits => ({
  count: MAX_TEMPLATES,
  memoryMB: Math.min(MAX_MEMORY_MB, Math.max(LEAST_MEMORY_MB, Math.floor(machineMemoryMB * MEMORY_SHARE))),
});

/** What of the machine's memory is not for containers, because templates hold it or are made in it, in MiB. */
export const templateReserveMB = ({ memoryMB }: TemplateLimits): number => memoryMB + MAKING_MB;

/**
 * The folders of templates, bounded in number and size: those that were used last stay. The time of use is the
 * folder's own, so that it outlives the agent.
 */
export class KeptTemplates {
  readonly #folder: string;
  readonly #limits: TemplateLimits;

  constructor(folder: string, limits: TemplateLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  async used(key: string, now: Date): Promise<void> {
    await utimes(join(this.#folder, key), now, now).catch(() => undefined);
  }

  /**
   * Removes what is over the limits, the longest unused first.
   * @param isNeeded whether a template has to stay
   * @param release called for each before it is removed
   */
  async trim(isNeeded: (key: string) => boolean, release: (key: string) => void): Promise<void> {
    await this.#removeGone();
    const found = await this.#list();
    let bytes = found.reduce((sum, one) => sum + one.bytes, 0);
    let count = found.length;
    for (const one of found) {
      if (count <= this.#limits.count && bytes <= this.#limits.memoryMB * MIB) return;
      if (isNeeded(one.key) || !existsSync(join(this.#folder, one.key))) continue;
      release(one.key);
      // Renamed atomically, so that no process finds half of it.
      const gone = join(this.#folder, `${one.key}${GONE}`);
      renameSync(join(this.#folder, one.key), gone);
      await rm(gone, { recursive: true, force: true });
      bytes -= one.bytes;
      count -= 1;
    }
  }

  /** What an agent that died in between has left. */
  async #removeGone(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names.filter((one) => one.endsWith(GONE)))
      await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  /** All that are whole, the longest unused first. */
  async #list(): Promise<{ key: string; bytes: number; usedMs: number }[]> {
    const keys = (await readdir(this.#folder).catch(() => [])).filter((name) => !name.includes('.'));
    const found = await Promise.all(
      keys.map(async (key) => {
        const folder = join(this.#folder, key);
        const info = await stat(folder).catch(() => null);
        return info && { key, bytes: await allocatedBytes(folder), usedMs: info.mtimeMs };
      }),
    );
    return found.filter((one) => one !== null).sort((a, b) => a.usedMs - b.usedMs);
  }
}
