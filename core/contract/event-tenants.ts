import * as z from 'zod/mini';

/** A source of events on the bus, `source@account`, `*@account`, or `*` for every other one. */
export const EVENT_ORIGIN_PATTERN = /^(\*|[^*@\s]+)(@\d{12})?$/;

/** To which tenants the deployment assigns events that are not Bulkhead's own. */
export const EventTenantsSchema = z.strictObject({
  /** The tenant of requests for a conversion that name none, and of every source that `byOrigin` does not name. */
  defaultTenant: z.string(),
  byOrigin: z.record(z.string().check(z.regex(EVENT_ORIGIN_PATTERN)), z.array(z.string())),
});
export type EventTenants = z.infer<typeof EventTenantsSchema>;
