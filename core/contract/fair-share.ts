import * as z from 'zod/mini';

const positive = z.number().check(z.positive());

/** What one tenant may take of one instance of a function behind the HTTP API. */
export const FairShareLimitsSchema = z.strictObject({
  requestsPerSecond: positive,
  requestBurst: positive,
  /** Part of the instance's time, up to 1, that may go by in waiting; 1 is no limit for tenants that wait one after another. */
  waitShare: z.number().check(z.positive(), z.maximum(1)),
  /** Seconds that may be waited at once when nothing was for long. */
  waitBurstSeconds: positive,
});
export type FairShareLimits = z.infer<typeof FairShareLimitsSchema>;
