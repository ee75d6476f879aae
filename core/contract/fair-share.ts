import * as z from 'zod/mini';

const positive = z.number().check(z.positive());

/** Limits of one tenant on one instance of a function behind the HTTP API. */
export const FairShareLimitsSchema = z.strictObject({
  requestsPerSecond: positive,
  requestBurst: positive,
  /** Share of the instance's time for waiting, up to 1. With 1, a tenant that waits for one request at a time is never limited. */
  waitShare: z.number().check(z.positive(), z.maximum(1)),
  /** Burst: seconds of waiting that are available after a long idle time. */
  waitBurstSeconds: positive,
});
export type FairShareLimits = z.infer<typeof FairShareLimitsSchema>;
