import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../../errors.ts';
import { createExclusively, readIfThere } from './files.ts';

export type LeaseKind = 'uid' | 'ids' | 'address' | 'router' | 'tcp' | 'udp';

/** The range of numbers of each kind. */
const RANGES: Readonly<Record<LeaseKind, readonly [from: number, count: number]>> = {
  // Above the ranges that systems use for users and, by default, for user namespaces.
  uid: [2_100_000_000, 100_000],
  // Ranges of ids for user namespaces (`container/user-namespaces.ts`), which end below the uids above.
  ids: [0, 3_371],
  // Offsets in the network of the switch. The first ones are reserved for the gateway.
  address: [16, 65_000],
  // Offsets in the same network, above those of the containers: one for each agent's router.
  router: [65_024, 510],
  tcp: [1, 65_535],
  udp: [1, 65_535],
};
/** The range for ports without a requested number. */
const FREE_PORTS: readonly [from: number, count: number] = [42_000, 6_000];
const ATTEMPTS = 2_000;

/**
 * Numbers that have at most one owner on the whole machine: uids of worker processes, id ranges of containers, addresses and
 * ports. A lease is a file that is named after the number. Acquiring it is therefore atomic, and it outlives the process.
 * Owners are `<tag> <id>`.
 */
export class Leases {
  readonly #folder: string;
  readonly #tag: string;

  constructor(folder: string, tag: string) {
    this.#folder = folder;
    this.#tag = tag;
  }

  /**
   * Returns the number that `id` holds, or acquires a free one. The search starts at a hash of the id.
   * @param isUsable whether a free number can be used
   */
  async take(
    kind: LeaseKind,
    id: string,
    isUsable: (value: number) => Promise<boolean> = async () => true,
  ): Promise<number> {
    const held = (await this.held(kind)).find((lease) => lease.id === id);
    if (held) return held.value;
    const [from, count] = kind === 'tcp' || kind === 'udp' ? FREE_PORTS : RANGES[kind];
    const start = createHash('sha256').update(id).digest().readUInt32LE(0) % count;
    for (let attempt = 0; attempt < Math.min(ATTEMPTS, count); attempt++) {
      const value = from + ((start + attempt) % count);
      if (!(await this.#create(kind, value, id))) continue;
      if (await isUsable(value)) return value;
      await rm(this.#path(kind, value), { force: true });
    }
    throw new RuntimeError('too-busy', `This host has no free ${kind}`);
  }

  /** Acquires that number. Returns false if another owner holds it. */
  async takeExactly(kind: LeaseKind, value: number, id: string): Promise<boolean> {
    if (await this.#create(kind, value, id)) return true;
    return (await this.#ownerOf(kind, value)) === `${this.#tag} ${id}`;
  }

  async release(kind: LeaseKind, id: string): Promise<void> {
    for (const lease of await this.held(kind))
      if (lease.id === id) await rm(this.#path(kind, lease.value), { force: true });
  }

  /** The leases that this host holds. */
  async held(kind: LeaseKind): Promise<readonly { value: number; id: string }[]> {
    const names = await readdir(join(this.#folder, kind)).catch(() => []);
    const owned = await Promise.all(
      names
        .filter((name) => /^\d+$/.test(name))
        .map(async (name) => {
          const [tag, id] = ((await this.#ownerOf(kind, Number(name))) ?? '').split(' ');
          return tag === this.#tag && id !== undefined ? { value: Number(name), id } : null;
        }),
    );
    return owned.filter((lease) => lease !== null);
  }

  #path(kind: LeaseKind, value: number): string {
    return join(this.#folder, kind, String(value));
  }

  #create(kind: LeaseKind, value: number, id: string): Promise<boolean> {
    return createExclusively(this.#path(kind, value), `${this.#tag} ${id}`);
  }

  #ownerOf(kind: LeaseKind, value: number): Promise<string | null> {
    return readIfThere(this.#path(kind, value));
  }
}
