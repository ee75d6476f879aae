import type { FairShareLimits } from '../../core/contract/fair-share.ts';
import { FairShare } from '../../functions/shared/http/fair-share.ts';

/** A request on its way to a function: when it comes, whose it is, and for how long it would like to wait. */
export interface SimulatedRequest {
  readonly atMs: number;
  readonly tenant: string;
  readonly waitSeconds: number;
}

export interface Served {
  readonly request: SimulatedRequest;
  /** `throttled`: every instance was taken, as Lambda answers then. */
  readonly outcome: 'answered' | 'refused' | 'throttled';
  readonly waitedSeconds: number;
}

export interface Simulation {
  readonly served: readonly Served[];
  /** Most instances that a tenant held at the same moment, and how many on average over the requests. */
  readonly mostHeld: (tenant: string) => number;
  readonly meanHeld: (tenant: string) => number;
  readonly instances: number;
}

/** Times in milliseconds that an answer takes without waiting, and a refusal. */
const ANSWER_MS = 10;
const REFUSAL_MS = 4;

/**
 * Lambda, as far as it matters here: an instance serves one request at a time; a request goes to one that is free, else
 * a new one is made, up to `most`. Each instance has the limiter that the functions have, on a simulated clock.
 */
export const simulateInstances = (
  requests: readonly SimulatedRequest[],
  most: number,
  limits: FairShareLimits,
  random: () => number,
): Simulation => {
  let now = 0;
  const pool: { freeAt: number; tenant: string; readonly share: FairShare }[] = [];
  const held = new Map<string, { most: number; sum: number }>();
  const serve = (request: SimulatedRequest): Served => {
    const { tenant, waitSeconds } = request;
    let instance = pool.find(({ freeAt }) => freeAt <= now);
    if (instance === undefined && pool.length < most) {
      instance = { freeAt: 0, tenant: '', share: new FairShare(limits, { monotonic: () => now, random }) };
      pool.push(instance);
    }
    if (instance === undefined) return { request, outcome: 'throttled', waitedSeconds: 0 };
    instance.tenant = tenant;
    if (instance.share.takeRequest(tenant) !== null) {
      instance.freeAt = now + REFUSAL_MS;
      return { request, outcome: 'refused', waitedSeconds: 0 };
    }
    const waitedSeconds = Math.min(waitSeconds, instance.share.secondsToWait(tenant));
    instance.share.chargeWait(tenant, waitedSeconds);
    instance.freeAt = now + ANSWER_MS + waitedSeconds * 1000;
    return { request, outcome: 'answered', waitedSeconds };
  };
  const tenants = [...new Set(requests.map(({ tenant }) => tenant))];
  const served = requests.map((request) => {
    now = request.atMs;
    const one = serve(request);
    for (const tenant of tenants) {
      const count = pool.filter((instance) => instance.freeAt > now && instance.tenant === tenant).length;
      const before = held.get(tenant) ?? { most: 0, sum: 0 };
      held.set(tenant, { most: Math.max(before.most, count), sum: before.sum + count });
    }
    return one;
  });
  return {
    served,
    mostHeld: (tenant) => held.get(tenant)?.most ?? 0,
    meanHeld: (tenant) => (held.get(tenant)?.sum ?? 0) / requests.length,
    instances: pool.length,
  };
};
