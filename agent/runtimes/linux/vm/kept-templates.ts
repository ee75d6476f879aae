import { existsSync, renameSync } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../../../units.ts';
import { allocatedBytes } from '../disk-space.ts';

/** Suffix for the folder of a template that is being removed. */
const GONE = '.gone';
const MAX_TEMPLATES = 8;
/** Share of the machine's memory for templates. */
const MEMORY_SHARE = 1 / 32;
const LEAST_MEMORY_MB = 128;
const MAX_MEMORY_MB = 512;
/** VMs with more memory boot instead, because the page tables alone would make their templates too large. */
export const MAX_TEMPLATE_RAM_MB = 4096;
/** Temporary memory to create a template. Templates are created one at a time. */
const MAKING_MB = 256;

export interface TemplateLimits {
  readonly count: number;
  /** Total memory of the templates. They need the same amount of disk. */
  readonly memoryMB: number;
}

export const templateLimits = (machineMemoryMB: number): TemplateLimits => ({
  count: MAX_TEMPLATES,
  memoryMB: Math.min(MAX_MEMORY_MB, Math.max(LEAST_MEMORY_MB, Math.floor(machineMemoryMB * MEMORY_SHARE))),
});

/** Memory that is reserved for templates and their creation, in MiB. */
export const templateReserveMB = ({ memoryMB }: TemplateLimits): number => memoryMB + MAKING_MB;

/**
 * The folders of templates, limited in number and size. The least recently used templates are removed. The time of use is the
 * folder's modification time, so that it outlives the agent.
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
   * Removes templates beyond the limits, the least recently used first.
   * @param isNeeded whether a template must be kept
   * @param release called before each removal
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
      // Renamed atomically first, so that no process finds a partial template.
      const gone = join(this.#folder, `${one.key}${GONE}`);
      renameSync(join(this.#folder, one.key), gone);
      await rm(gone, { recursive: true, force: true });
      bytes -= one.bytes;
      count -= 1;
    }
  }

  /** Removes the remains of an agent that crashed during a removal. */
  async #removeGone(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names.filter((one) => one.endsWith(GONE)))
      await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  /** Lists all complete templates, the least recently used first. */
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
