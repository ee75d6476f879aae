import type { FairShareLimits } from '../../../core/contract/fair-share.ts';
import type { Dependencies } from '../dependencies.ts';

/**
 * Limits one tenant's use of one function instance. An instance serves one request at a time, so tenants compete for its
 * time. Each tenant has two token buckets in the memory of the instance: approximate, and without cost.
 *
 * - Requests: each takes one token. Tokens are refilled at a fixed rate.
 * - Seconds of waiting: the time for which waiting requests occupy the instance. The balance can be negative, because the
 *   duration of a command is known only afterwards.
 *
 * A new instance starts with a random part of the seconds. When a flood of waits makes many instances start at the same
 * moment, they become free one after another instead of all at once.
 */
interface Buckets {
  requests: number;
  waitSeconds: number;
  /** Time of the last refill, in milliseconds. */
  at: number;
}

/** Tenants that an instance tracks; the least recently used one is dropped first. */
const MOST_TENANTS = 1_000;
/** Lower bound of the balance, so that a long command does not block a tenant for minutes. */
const MOST_DEBT_SECONDS = 5;

export class FairShare {
  readonly #limits: FairShareLimits;
  readonly #deps: Pick<Dependencies, 'monotonic' | 'random'>;
  readonly #tenants = new Map<string, Buckets>();

  constructor(limits: FairShareLimits, deps: Pick<Dependencies, 'monotonic' | 'random'>) {
    this.#limits = limits;
    this.#deps = deps;
  }

  /** Takes one request. @returns null, or the seconds until the next one is available */
  takeRequest(tenant: string): number | null {
    const buckets = this.#filled(tenant);
    if (buckets.requests >= 1) {
      buckets.requests -= 1;
      return null;
    }
    return (1 - buckets.requests) / this.#limits.requestsPerSecond;
  }

  /** Seconds for which the tenant may wait now. */
  secondsToWait(tenant: string): number {
    return Math.max(0, this.#filled(tenant).waitSeconds);
  }

  /** Seconds until a tenant without balance may wait again, for at least a second. */
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
