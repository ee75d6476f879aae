import * as z from 'zod/mini';
import type { ConversionRule, Select } from '../core/contract/conversion-rule.ts';
import { TABLE } from '../core/contract/deployment.ts';
import { type RuntimeType, RuntimeTypeSchema } from '../core/contract/primitives.ts';
import type { Cursors } from './cursor.ts';
import { type Item, toAttribute } from './item.ts';
import { createItem, readItem, TextsSchema } from './item-format.ts';
import { keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { ifRevision } from './revision.ts';
import { keyItem, type Table, type Write } from './table.ts';

/**
 * Conversion rules. Pattern and selection are stored as JSON texts, because a null in a pattern has a meaning and items omit
 * nulls. The id distinguishes a rule from an earlier one with the same name, whose events may still arrive.
 */
export interface ConversionRuleRecord {
  readonly tenant: string;
  readonly name: string;
  readonly id: string;
  readonly revision: number;
  readonly actor: string;
  readonly description: string;
  readonly eventPattern: ConversionRule['eventPattern'];
  readonly select: Select;
  readonly runtimeType: RuntimeType;
  readonly maxContainers: number;
  readonly maxConcurrency: number;
  readonly cooldownSeconds: number;
  readonly enabled: boolean;
  readonly dryRun: boolean;
  /** Name of the rule on the bus. */
  readonly eventRuleName: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A JSON text with the given structure. */
/* @__NO_SIDE_EFFECTS__ */
const jsonText = <T>(schema: z.ZodMiniType<T>) =>
  z.pipe(
    z.pipe(
      z.string(),
      z.transform((text, { issues }): unknown => {
        try {
          return JSON.parse(text);
        } catch {
          issues.push({ code: 'custom', message: 'not JSON', input: text });
          return z.NEVER;
        }
      }),
    ),
    schema,
  );

const StoredSelectSchema: z.ZodMiniType<Select> = z.object({
  containerId: z.optional(z.string()),
  name: z.optional(z.string()),
  labels: z.optional(TextsSchema),
  image: z.optional(z.string()),
});

const RuleSchema = z.object({
  id: z.string(),
  revision: z.number(),
  actor: z.string(),
  description: z.string(),
  eventPattern: jsonText(z.record(z.string(), z.unknown())),
  select: jsonText(StoredSelectSchema),
  runtimeType: RuntimeTypeSchema,
  maxContainers: z.number(),
  maxConcurrency: z.number(),
  cooldownSeconds: z.number(),
  enabled: z.boolean(),
  dryRun: z.boolean(),
  eventRuleName: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

const ruleItem = ({ tenant, name, eventPattern, select, ...rest }: ConversionRuleRecord): Item =>
  createItem('conversionRule', keys.conversionRule(tenant, name), {
    ...rest,
    eventPattern: JSON.stringify(eventPattern),
    select: JSON.stringify(select),
  });

const parseRule = (item: Item): ConversionRuleRecord => {
  const rule = readItem('conversionRule', RuleSchema, item);
  return { ...rule, name: item.sk?.S ?? '' };
};

export const getRule = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<ConversionRuleRecord | undefined> => {
  const item = await table.get(keys.conversionRule(tenant, name), { consistent: true });
  return item && parseRule(item);
};

export const listRules = (
  table: Table,
  cursors: Cursors,
  tenant: string,
  request: ListRequest,
): Promise<ListPage<ConversionRuleRecord>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'conversionRules', filters: {} },
      source: { shards: [keys.conversionRule(tenant).pk] },
      parse: parseRule,
    },
    request,
  );

const CountSchema = z.object({ inUse: z.number() });

/** Number of rules of the tenant. */
export const countRules = async (table: Table, tenant: string): Promise<number> => {
  const item = await table.get(keys.ruleCount(tenant), { consistent: true });
  return item === undefined ? 0 : readItem('ruleCount', CountSchema, item).inUse;
};

const counted = (tenant: string, change: 1 | -1, most?: number): Write => ({
  update: {
    Key: keyItem(keys.ruleCount(tenant)),
    // The first rule creates the item.
    UpdateExpression: 'ADD inUse :change SET v = :format, entity = :entity',
    ExpressionAttributeValues: {
      ':format': toAttribute(TABLE.format),
      ':entity': toAttribute('ruleCount'),
      ':change': toAttribute(change),
      ...(most !== undefined && { ':most': toAttribute(most) }),
    },
    ...(most !== undefined && { ConditionExpression: 'attribute_not_exists(inUse) OR inUse < :most' }),
  },
});

/**
 * @param before the rule as it was read, or undefined for a new one
 * @param most maximum number of rules of the tenant
 * @throws ConditionFailed if the rule has changed, or the tenant has reached the maximum
 */
export const putRule = (
  table: Table,
  before: ConversionRuleRecord | undefined,
  after: ConversionRuleRecord,
  {
    remember,
    token,
    most,
  }: { readonly remember: readonly Write[]; readonly token: string; readonly most: number },
): Promise<void> => {
  const condition =
    before === undefined ? { ConditionExpression: 'attribute_not_exists(pk)' } : ifRevision(before.revision);
  const count = before === undefined ? [counted(after.tenant, 1, most)] : [];
  return table.transact([{ put: { Item: ruleItem(after), ...condition } }, ...count, ...remember], token);
};

/** @throws ConditionFailed if the rule has changed since it was read */
export const removeRule = (
  table: Table,
  before: ConversionRuleRecord,
  { remember, token }: { readonly remember: readonly Write[]; readonly token: string },
): Promise<void> => {
  const Key = keyItem(keys.conversionRule(before.tenant, before.name));
  const removed = { remove: { Key, ...ifRevision(before.revision) } };
  return table.transact([removed, counted(before.tenant, -1), ...remember], token);
};
