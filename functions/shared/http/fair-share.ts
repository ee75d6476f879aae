import type { FairShareLimits } from '../../../core/contract/fair-share.ts';
import type { Dependencies } from '../dependencies.ts';

/**
 * How much of one instance of a function one tenant may take. An instance serves one request at a time, so its time is
 * what tenants compete for. Two buckets a tenant, in the instance's memory alone: approximate, and free.
 *
 * - Requests: each takes one. They come back at a rate.
 * - Seconds of waiting: what a request that waits has held the instance. The balance can be below zero, because how long
 *   a command takes is known afterwards only.
 *
 * A new instance gives a tenant a random part of the seconds. When a flood of waits makes many instances start at the
 * same moment, they become free one after the other, from the first moment on, and not all together in the end.
 */
interface Buckets {
  requests: number;
  waitSeconds: number;
  /** When both were filled last, in milliseconds. */
  at: number;
}

/** Tenants that an instance remembers; the one that asked longest ago is forgotten first. */
const MOST_TENANTS = 1_000;
/** A long command costs no more than this beyond what there was, so that nobody is sent away for minutes. */
const MOST_DEBT_SECONDS = 5;

export class FairShare {
  readonly #limits: FairShareLimits;
  readonly #deps: Pick<Dependencies, 'monotonic' | 'random'>;
  readonly #tenants = new Map<string, Buckets>();

  constructor(limits: FairShareLimits, deps: Pick<Dependencies, 'monotonic' | 'random'>) {
    this.#limits = limits;
    this.#deps = deps;
  }

  /** Takes one request. @returns null, or after how many seconds there will be another one */
  takeRequest(tenant: string): number | null {
    const buckets = this.#filled(tenant);
    if (buckets.requests >= 1) {
      buckets.requests -= 1;
      return null;
    }
    return (1 - buckets.requests) / this.#limits.requestsPerSecond;
  }

  /** How many seconds the tenant may wait now. */
  secondsToWait(tenant: string): number {
    return Math.max(0, this.#filled(tenant).waitSeconds);
  }

  /** After how many seconds a tenant that may not wait now may wait again, for a second at least. */
  secondsUntilWait(tenant: string): number {
    return Math.max(0, 1 - this.#filled(tenant).waitSeconds) / this.#limits.waitShare;
  }

  chargeWait(tenant: string, seconds: number): void {
    const buckets = this.#filled(tenant);
    buckets.waitSeconds = Math.max(-MOST_DEBT_SECONDS, buckets.waitSeconds - seconds);
  }

  #filled(tenant: string): Buckets {
    const { requestsPerSecond, requestBurst, waitShare, waitBurstSeconds } = this.#limits;
    const now = this.#deps.monotonic();
    const known = this.#tenants.get(tenant);
    const buckets = known ?? {
      requests: requestBurst,
      waitSeconds: waitShare >= 1 ? waitBurstSeconds : waitBurstSeconds * this.#deps.random(),
      at: now,
    };
    const seconds = (now - buckets.at) / 1000;
    buckets.requests = Math.min(requestBurst, buckets.requests + seconds * requestsPerSecond);
    buckets.waitSeconds = Math.min(waitBurstSeconds, buckets.waitSeconds + seconds * waitShare);
    buckets.at = now;
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, buckets);
    const [oldest] = this.#tenants.keys();
    if (this.#tenants.size > MOST_TENANTS && oldest !== undefined) this.#tenants.delete(oldest);
    return buckets;
  }
}
