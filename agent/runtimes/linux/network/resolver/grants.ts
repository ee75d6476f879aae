import type { Clock } from '../../../../clock.ts';
import { runOrFail } from '../../run-command.ts';
import { TABLE } from '../router-rules.ts';
import type { Grant } from './judge.ts';

/** Expired entries are deleted once there are more than this. */
const MAX_REMEMBERED = 8_192;

/** Adds the addresses of names in rules to the router, with their times to live. Waiting grants are sent together. */
export class Grants {
  readonly #router: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** When an element expires, in milliseconds. A name with a shorter time to live must not shorten another's. */
  readonly #ends = new Map<string, number>();
  #waiting: { grants: readonly Grant[]; applied: PromiseWithResolvers<void> }[] = [];
  #running = false;

  /** @param router path of the router's network namespace */
  constructor(router: string, clock: Pick<Clock, 'monotonicMs'>) {
    this.#router = router;
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
      const batch = this.#waiting.splice(0);
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

  async #apply(grants: readonly Grant[]): Promise<void> {
    const now = Math.floor(this.#clock.monotonicMs());
    this.#forgetExpired(now);
    const ends = new Map(
      grants.map(({ set, address, ttlSeconds }) => {
        const key = `${set} { ${address}`;
        return [key, Math.max(this.#ends.get(key) ?? 0, now + ttlSeconds * 1_000)] as const;
      }),
    );
    const lines = [...ends].flatMap(([key, end]) => {
      const element = `element ${TABLE} ${key}`;
      // Adding an existing element does not change its timeout, so it is deleted first. Adding it before makes the deletion succeed.
      return [
        `add ${element} }`,
        `delete ${element} }`,
        `add ${element} timeout ${Math.max(1, Math.ceil((end - now) / 1_000))}s }`,
      ];
    });
    const command = [`--net=${this.#router}`, '--', 'nft', '-f', '-'];
    await runOrFail('The resolver could not open addresses in the router', 'nsenter', command, {
      input: `${lines.join('\n')}\n`,
    });
    for (const [key, end] of ends) this.#ends.set(key, end);
  }

  #forgetExpired(now: number): void {
    if (this.#ends.size < MAX_REMEMBERED) return;
    for (const [key, end] of this.#ends) if (end < now) this.#ends.delete(key);
  }
}
