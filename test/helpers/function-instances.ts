import type { FairShareLimits } from '../../core/contract/fair-share.ts';
import { FairShare } from '../../functions/shared/http/fair-share.ts';

/** A request to a function: its time of arrival, its tenant, and the requested wait. */
export interface SimulatedRequest {
  readonly atMs: number;
  readonly tenant: string;
  readonly waitSeconds: number;
}

export interface Served {
  readonly request: SimulatedRequest;
  /** `throttled`: all instances were busy, as in Lambda. */
  readonly outcome: 'answered' | 'refused' | 'throttled';
  readonly waitedSeconds: number;
}

export interface Simulation {
  readonly served: readonly Served[];
  /** The maximum number of instances that a tenant occupied at the same time, and the average over the requests. */
  readonly mostHeld: (tenant: string) => number;
  readonly meanHeld: (tenant: string) => number;
  readonly instances: number;
}

/** Time in milliseconds for an answer without waiting, and for a refusal. */
const ANSWER_MS = 10;
const REFUSAL_MS = 4;

/**
 * A model of Lambda: an instance serves one request at a time. A request goes to a free instance. If there is none, a
 * new one is created, up to `most`. Each instance has the limiter of the real functions, on a simulated clock.
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
