import * as z from 'zod/mini';
import { RULE_LIMITS, RUN_OUTCOMES, type RuleRun, type RunItem } from '../core/contract/conversion-rule.ts';
import { TIMES } from '../core/contract/deployment.ts';
import type { Cursors } from './cursor.ts';
import { type Item, toAttribute } from './item.ts';
import { createItem, orNull, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { ConditionFailed, keyItem, type Table, type Write } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

/**
 * Runs of a rule: one item for each event, written before anything is selected. Its key is the event's time and id, so
 * that a duplicate event is detected.
 *
 * Lifecycle: Running (selected) → Ended. A run whose execution ended without recording an outcome is shown as `Failed` after its time limit.
 */
export interface RunKey {
  readonly tenant: string;
  readonly ruleId: string;
  readonly at: string;
}

interface RunStart extends RunKey {
  readonly eventId: string;
  /** Name of the execution for the event. */
  readonly execution: string;
  readonly startedAt: string;
}

export interface Selection {
  readonly matched: number;
  readonly truncated: boolean;
  readonly reason: string | null;
}

/** Maximum length of a text from an event. */
const KEY_CHARACTERS = 128;
/** Longer than any execution of the machine can take. */
const OVERDUE_MS = 2 * TIMES.operationDeadlineSeconds * 1000 * 4;

export const runAt = (eventTime: string, eventId: string): string =>
  `${eventTime.slice(0, KEY_CHARACTERS)}#${eventId.slice(0, KEY_CHARACTERS)}`;

const RunItemSchema: z.ZodMiniType<RunItem> = z.object({
  containerId: z.string(),
  name: z.string(),
  outcome: z.enum(RUN_OUTCOMES),
  operationId: orNull(z.string()),
  why: orNull(z.string()),
});

const RunSchema = z.object({
  eventId: z.string(),
  execution: z.string(),
  startedAt: z.string(),
  endedAt: orNull(z.string()),
  state: z.enum(['Running', 'Ended']),
  matched: z.number(),
  truncated: z.boolean(),
  /** '' without a reason. */
  reason: z._default(z.string(), ''),
  containers: z.array(RunItemSchema),
});

const NOTHING_YET = { matched: 0, truncated: false, containers: [] } as const;

/**
 * Claims an event for a rule.
 *
 * @returns whether this execution got it; false if another one had it before
 */
export const beginRun = async (table: Table, start: RunStart): Promise<boolean> => {
  const { tenant, ruleId, at, ...rest } = start;
  const ttl = ttlAfterDays(start.startedAt, RULE_LIMITS.runsKeptDays);
  try {
    await table.put({
      Item: createItem('ruleRun', keys.ruleRun(tenant, ruleId, at), {
        ...rest,
        ...NOTHING_YET,
        state: 'Running',
        ttl,
      }),
      ConditionExpression: 'attribute_not_exists(pk)',
    });
    return true;
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
    if (error.item === undefined) throw error;
    return readItem('ruleRun', RunSchema, error.item).execution === start.execution;
  }
};

export const noteSelection = async (
  table: Table,
  { tenant, ruleId, at }: RunKey,
  { matched, truncated, reason }: Selection,
): Promise<void> => {
  await table.update({
    Key: keyItem(keys.ruleRun(tenant, ruleId, at)),
    UpdateExpression: 'SET matched = :matched, truncated = :truncated, reason = :reason',
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeValues: {
      ':matched': toAttribute(matched),
      ':truncated': toAttribute(truncated),
      ':reason': toAttribute(reason ?? ''),
    },
  });
};

export const endRun = async (
  table: Table,
  { tenant, ruleId, at }: RunKey,
  containers: readonly RunItem[],
  endedAt: string,
): Promise<void> => {
  await table.update({
    Key: keyItem(keys.ruleRun(tenant, ruleId, at)),
    UpdateExpression: 'SET #state = :ended, containers = :containers, endedAt = :at',
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeNames: { '#state': 'state' },
    ExpressionAttributeValues: {
      ':ended': toAttribute('Ended'),
      ':containers': toAttribute(containers),
      ':at': toAttribute(endedAt),
    },
  });
};

const parseRun =
  (now: Date) =>
  (item: Item): RuleRun => {
    const run = readItem('ruleRun', RunSchema, item);
    const { eventId, startedAt, endedAt, matched, truncated, containers } = run;
    const count = (outcome: RunItem['outcome']) => containers.filter((one) => one.outcome === outcome).length;
    const overdue = run.state === 'Running' && now.getTime() - Date.parse(startedAt) > OVERDUE_MS;
    return {
      id: item.sk?.S ?? '',
      eventId,
      state: overdue ? 'Failed' : run.state,
      startedAt,
      endedAt,
      matched,
      truncated,
      converted: count('converted'),
      skipped: count('skipped'),
      failed: count('failed'),
      reason: run.reason === '' ? null : run.reason,
      containers,
    };
  };

/** Runs of a rule, newest event first. */
export const listRuns = (
  table: Table,
  cursors: Cursors,
  { tenant, ruleId }: Omit<RunKey, 'at'>,
  request: ListRequest,
  now: Date,
): Promise<ListPage<RuleRun>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'ruleRuns', filters: { ruleId } },
      source: { shards: [keys.ruleRun(tenant, ruleId).pk], descending: true },
      parse: parseRun(now),
    },
    request,
  );

const CooldownSchema = z.object({ until: z.number() });

/** Whether the rule has converted the container less than its cooldown ago. */
export const isCooling = async (
  table: Table,
  { tenant, ruleId }: Pick<RunKey, 'tenant' | 'ruleId'>,
  containerId: string,
  now: Date,
): Promise<boolean> => {
  const item = await table.get(keys.ruleCooldown(tenant, ruleId, containerId), { consistent: true });
  return item !== undefined && readItem('ruleCooldown', CooldownSchema, item).until > now.getTime();
};

/** The pseudo rule id for the record that any rule has isolated a container. */
const ANY_RULE = 'any';

/** Whether a rule has converted the container to HyperV recently. */
export const isIsolatedByRule = (
  table: Table,
  tenant: string,
  containerId: string,
  now: Date,
): Promise<boolean> => isCooling(table, { tenant, ruleId: ANY_RULE }, containerId, now);

/** Part of the conversion's transaction. */
export const noteIsolation = (tenant: string, containerId: string, now: Date): Write =>
  coolDown({ tenant, ruleId: ANY_RULE }, containerId, now.getTime() + RULE_LIMITS.flappingSeconds * 1000);

/** Part of the conversion's transaction. */
export const coolDown = (
  { tenant, ruleId }: Pick<RunKey, 'tenant' | 'ruleId'>,
  containerId: string,
  until: number,
): Write => ({
  put: {
    Item: createItem('ruleCooldown', keys.ruleCooldown(tenant, ruleId, containerId), {
      until,
      ttl: Math.ceil(until / 1000),
    }),
  },
});
