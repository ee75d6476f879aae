import { CONVERSION_REQUESTED } from '../contract/conversion-rule.ts';
import { EVENT_SOURCE } from '../contract/event.ts';
import type { EventTenants } from '../contract/event-tenants.ts';

interface OriginOfEvent {
  readonly source: string;
  readonly account?: string;
  readonly 'detail-type': string;
  readonly detail: { readonly tenant?: unknown };
}

const assignedTo = ({ source, account }: OriginOfEvent, tenants: EventTenants): readonly string[] => {
  const origins = [`${source}@${account}`, `*@${account}`, source, '*'];
  const named = origins.find((origin) => Object.hasOwn(tenants.byOrigin, origin));
  return (named === undefined ? undefined : tenants.byOrigin[named]) ?? [tenants.defaultTenant];
};

/**
 * Whether a tenant's rules can access an event. Check this before any expression of the tenant runs on it.
 *
 * - An event of Bulkhead belongs to the tenant in it.
 * - A conversion request belongs to the tenant in it, or to the default tenant.
 * - Any other event belongs to the tenants to which the deployment assigns its source and account.
 *
 * A principal that can put events on the bus can name any tenant, so only the deployment's operator has this permission.
 */
export const isEventOf = (event: OriginOfEvent, tenant: string, tenants: EventTenants): boolean => {
  if (event.source === EVENT_SOURCE) return event.detail.tenant === tenant;
  if (event['detail-type'] === CONVERSION_REQUESTED)
    return (event.detail.tenant ?? tenants.defaultTenant) === tenant;
  return assignedTo(event, tenants).includes(tenant);
};
