import * as z from 'zod/mini';

/** A source of events on the bus: `source`, `source@account`, `*@account`, or `*` for all others. */
export const EVENT_ORIGIN_PATTERN = /^(\*|[^*@\s]+)(@\d{12})?$/;

/** The tenants to which the deployment assigns events of other sources. */
export const EventTenantsSchema = z.strictObject({
  /** The tenant of conversion requests without one, and of sources that `byOrigin` does not list. */
  defaultTenant: z.string(),
  byOrigin: z.record(z.string().check(z.regex(EVENT_ORIGIN_PATTERN)), z.array(z.string())),
});
export type EventTenants = z.infer<typeof EventTenantsSchema>;
