import type { Clock } from '../../../../clock.ts';
import { runOrFail } from '../../run-command.ts';
import { NAMES_SIZE } from '../container-rules.ts';
import { TABLE } from '../router-rules.ts';
import type { Grant } from './judge.ts';

/** Expired entries are deleted once there are more than this. */
const MAX_REMEMBERED = 8_192;

interface Waiting {
  readonly grants: readonly Grant[];
  readonly applied: PromiseWithResolvers<void>;
}

/** When each address of a set expires, in milliseconds. */
type Ends = Map<string, number>;

/** Runs a script of nft in a router. */
type RunScript = (script: string) => Promise<unknown>;

export const inRouter =
  (router: string): RunScript =>
  (script) =>
    runOrFail(
      'The resolver could not open addresses in the router',
      'nsenter',
      [`--net=${router}`, '--', 'nft', '-f', '-'],
      { input: script },
    );

/** Adds the addresses of names in rules to the router, with their times to live. Waiting grants are sent together. */
export class Grants {
  readonly #runScript: RunScript;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** By set. A name with a shorter time to live must not shorten another's. */
  readonly #sets = new Map<string, Ends>();
  #waiting: Waiting[] = [];
  #running = false;

  constructor(runScript: RunScript, clock: Pick<Clock, 'monotonicMs'>) {
    this.#runScript = runScript;
    this.#clock = clock;
  }

  /** Resolves when the router has the grants. */
  add(grants: readonly Grant[]): Promise<void> {
    const applied = Promise.withResolvers<void>();
    this.#waiting.push({ grants, applied });
    if (!this.#running) void this.#run();
    return applied.promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0).filter((one) => this.#fits(one));
      if (batch.length === 0) continue;
      try {
        await this.#apply(batch.flatMap(({ grants }) => grants));
        for (const { applied } of batch) applied.resolve();
      } catch {
        // A missing or full set of one container must not fail the grants of others.
        for (const { grants, applied } of batch)
          await this.#apply(grants).then(applied.resolve, applied.reject);
      }
    }
    this.#running = false;
  }

  /**
   * Rejects addresses that do not fit into a full set. If nft refused them, all waiting grants would be sent again one
   * by one.
   */
  #fits({ grants, applied }: Waiting): boolean {
    const now = Math.floor(this.#clock.monotonicMs());
    const isFull = [...new Set(grants.map(({ set }) => set))].some((set) => {
      const ends = this.#sets.get(set) ?? new Map();
      const added = grants.filter((one) => one.set === set && !ends.has(one.address)).length;
      if (added > 0 && ends.size + added > NAMES_SIZE) forgetExpired(ends, now);
      return added > 0 && ends.size + added > NAMES_SIZE;
    });
    if (isFull) applied.reject(new TypeError('The names of a rule have too many addresses'));
    return !isFull;
  }

  async #apply(grants: readonly Grant[]): Promise<void> {
    const now = Math.floor(this.#clock.monotonicMs());
    this.#forgetExpired(now);
    const added = new Map<string, Ends>();
    for (const { set, address, ttlSeconds } of grants) {
      const ends = added.get(set) ?? new Map<string, number>();
      const known = Math.max(ends.get(address) ?? 0, this.#sets.get(set)?.get(address) ?? 0);
      added.set(set, ends.set(address, Math.max(known, now + ttlSeconds * 1_000)));
    }
    const lines = [...added].flatMap(([set, ends]) =>
      [...ends].flatMap(([address, end]) => {
        const element = `element ${TABLE} ${set} { ${address}`;
        // Adding an existing element does not change its timeout, so it is deleted first. Adding it first makes the deletion succeed.
        return [
          `add ${element} }`,
          `delete ${element} }`,
          `add ${element} timeout ${Math.max(1, Math.ceil((end - now) / 1_000))}s }`,
        ];
      }),
    );
    await this.#runScript(`${lines.join('\n')}\n`);
    for (const [set, ends] of added) {
      const known = this.#sets.get(set) ?? new Map<string, number>();
      for (const [address, end] of ends) known.set(address, end);
      this.#sets.set(set, known);
    }
  }

  #forgetExpired(now: number): void {
    if ([...this.#sets.values()].reduce((sum, { size }) => sum + size, 0) < MAX_REMEMBERED) return;
    for (const [set, ends] of this.#sets) {
      forgetExpired(ends, now);
      if (ends.size === 0) this.#sets.delete(set);
    }
  }
}

const forgetExpired = (ends: Ends, now: number): void => {
  for (const [address, end] of ends) if (end < now) ends.delete(address);
};
