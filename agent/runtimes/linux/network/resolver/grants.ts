import type { Clock } from '../../../../clock.ts';
import { runOrFail } from '../../run-command.ts';
import { TABLE } from '../router-rules.ts';
import type { Grant } from './judge.ts';

/** From when on what has expired is forgotten. */
const MAX_REMEMBERED = 8_192;

/** Tells the router which addresses the names of rules have, and for how long. Waiting grants are sent together. */
export class Grants {
  readonly #router: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** When an element ends, in milliseconds: a name with a shorter time to live does not shorten another's. */
  readonly #ends = new Map<string, number>();
  #waiting: { grants: readonly Grant[]; applied: PromiseWithResolvers<void> }[] = [];
  #running = false;

  /** @param router path of the router's network namespace */
  constructor(router: string, clock: Pick<Clock, 'monotonicMs'>) {
    this.#router = router;
    this.#clock = clock;
  }

  /** Resolves when the router knows them. */
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
        // One container's set may be gone, or full: that must not fail the others.
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
      // An element that is there keeps its time; what is added first can be deleted in any case.
      return [
        `add ${element} }`,
        `delete ${element} }`,
        `add ${element} timeout ${Math.max(1, Math.ceil((end - now) / 1_000))}s }`,
      ];
    });
    const command = [`--net=${this.#router}`, '--', 'nft', '-f', '-'];
    await runOrFail('Addresses could not be opened', 'nsenter', command, { input: `${lines.join('\n')}\n` });
    for (const [key, end] of ends) this.#ends.set(key, end);
  }

  #forgetExpired(now: number): void {
    if (this.#ends.size < MAX_REMEMBERED) return;
    for (const [key, end] of this.#ends) if (end < now) this.#ends.delete(key);
  }
}
