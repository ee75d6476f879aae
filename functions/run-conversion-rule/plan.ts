import * as z from 'zod/mini';
import {
  CONVERSION_REQUESTED,
  type ConversionRequest,
  ConversionRequestSchema,
  RULE_DEFAULTS,
  type Select,
  SelectSchema,
} from '../../core/contract/conversion-rule.ts';
import type { EventTenants } from '../../core/contract/event-tenants.ts';
import { type RuntimeType, toRuntimeType } from '../../core/contract/primitives.ts';
import { isEventOf } from '../../core/domain/event-tenants.ts';
import { getRule } from '../../store/conversion-rules.ts';
import { TENANT_PATTERN } from '../../store/keys.ts';
import { runAt } from '../../store/rule-runs.ts';
import type { Table } from '../../store/table.ts';

/** What a run must do, for any kind of starter. */
export interface Plan {
  readonly tenant: string;
  /** Id of the rule, or {@link REQUESTS} for requests without a rule. */
  readonly ruleId: string;
  readonly actor: string;
  readonly at: string;
  readonly eventId: string;
  readonly event: unknown;
  readonly select: Select;
  readonly runtimeType: RuntimeType;
  readonly maxContainers: number;
  readonly maxConcurrency: number;
  readonly cooldownSeconds: number;
  readonly dryRun: boolean;
}

export const REQUESTS = 'requests';

const text = z.string().check(z.minLength(1));
const TenantSchema = z.string().check(z.regex(TENANT_PATTERN));

const EventSchema = z.looseObject({
  id: text,
  source: text,
  account: z.optional(text),
  time: text,
  'detail-type': text,
  detail: z.looseObject({}),
});

/** The input from the target of a Bulkhead rule: tenant and rule are constants of the target. */
const FromRuleSchema = z.strictObject({
  tenant: TenantSchema,
  rule: text,
  ruleId: text,
  event: EventSchema,
});

/** How an execution was started. */
export interface Started {
  readonly execution: string;
  readonly startedAt: string;
  readonly input: unknown;
}

const planOfRule = async (
  table: Table,
  { tenant, rule: name, ruleId, event }: z.infer<typeof FromRuleSchema>,
  eventTenants: EventTenants,
): Promise<Plan | string> => {
  if (!isEventOf(event, tenant, eventTenants)) return 'the event is not assigned to the tenant of the rule';
  const rule = await getRule(table, tenant, name);
  if (rule === undefined || rule.id !== ruleId) return 'the rule no longer exists';
  if (!rule.enabled) return 'the rule is not enabled';
  const { select, runtimeType, maxContainers, maxConcurrency, cooldownSeconds, dryRun } = rule;
  return {
    ...{ tenant, ruleId, event, select, runtimeType, maxContainers, maxConcurrency, cooldownSeconds, dryRun },
    actor: `rule:${name}`,
    at: runAt(event.time, event.id),
    eventId: event.id,
  };
};

const selectOf = ({ containerId, select }: ConversionRequest): Select | undefined => {
  const given = select ?? (containerId === undefined ? undefined : { containerId });
  const parsed = z.safeParse(SelectSchema, given);
  return parsed.success ? parsed.data : undefined;
};

const planOfRequest = (
  request: ConversionRequest,
  given: { readonly at: string; readonly eventId: string; readonly actor: string; readonly event: unknown },
  { defaultTenant }: EventTenants,
): Plan | string => {
  const tenant = z.safeParse(TenantSchema, request.tenant ?? defaultTenant);
  const select = selectOf(request);
  if (!tenant.success) return 'the request has no tenant';
  if (select === undefined) return 'the request selects no containers';
  return {
    ...given,
    tenant: tenant.data,
    ruleId: REQUESTS,
    select,
    runtimeType: toRuntimeType(request.runtimeType),
    maxContainers: request.maxContainers ?? RULE_DEFAULTS.maxContainers,
    maxConcurrency: request.maxConcurrency ?? RULE_DEFAULTS.maxConcurrency,
    cooldownSeconds: 0,
    dryRun: false,
  };
};

/**
 * The plan of an execution that was started by a Bulkhead rule; by a conversion request as an event on the bus; or by the same
 * request as plain input, from the user's own rule, schedule, pipe or call.
 *
 * @returns a plan, or the reason why there is nothing to do
 */
export const planOf = async (
  table: Table,
  { execution, startedAt, input }: Started,
  eventTenants: EventTenants,
): Promise<Plan | string> => {
  const ofRule = z.safeParse(FromRuleSchema, input);
  if (ofRule.success) return planOfRule(table, ofRule.data, eventTenants);
  const event = z.safeParse(EventSchema, input);
  if (event.success && event.data['detail-type'] === CONVERSION_REQUESTED) {
    const { id: eventId, time, source, detail } = event.data;
    const request = z.safeParse(ConversionRequestSchema, detail);
    if (!request.success) return 'the detail of the event is not a conversion request';
    const given = { at: runAt(time, eventId), eventId, actor: `event:${source}`.slice(0, 256), event: input };
    return planOfRequest(request.data, given, eventTenants);
  }
  const request = z.safeParse(ConversionRequestSchema, input);
  if (!request.success) return 'the input is not a conversion request';
  const given = { at: runAt(startedAt, execution), eventId: execution, actor: 'state-machine', event: input };
  return planOfRequest(request.data, given, eventTenants);
};
