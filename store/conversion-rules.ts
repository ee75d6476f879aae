import type { ConversionRule, Select } from '../core/contract/conversion-rule.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import type { Cursors } from './cursor.ts';
import { fromItem, type Item, toAttribute, toItem } from './item.ts';
import { keys, parsePartitionKey } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { keyItem, type Table, type Write } from './table.ts';

/**
 * Rules of conversion. Pattern and selection are kept as JSON texts: a null in a pattern means something, and an item
 * keeps none. The id tells a rule from an earlier one of the same name, whose events may still be on their way.
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
  /** Of the rule on the bus. */
  readonly eventRuleName: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

const ruleItem = ({ tenant, name, eventPattern, select, ...rest }: ConversionRuleRecord): Item =>
  toItem({
    ...keys.conversionRule(tenant, name),
    entity: 'conversionRule',
    ...rest,
    eventPattern: JSON.stringify(eventPattern),
    select: JSON.stringify(select),
  });

const parseRule = (item: Item): ConversionRuleRecord => {
  const { pk, sk, entity: _, eventPattern, select, ...rest } = fromItem(item);
  return {
    ...(rest as unknown as ConversionRuleRecord),
    tenant: parsePartitionKey(String(pk)).tenant,
    name: String(sk),
    eventPattern: JSON.parse(String(eventPattern)),
    select: JSON.parse(String(select)),
  };
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
      parts: [{ key: keys.conversionRule(tenant), sort: 'any' }],
      parse: parseRule,
    },
    request,
  );

const asRead = (revision: number) => ({
  ConditionExpression: 'revision = :revision',
  ExpressionAttributeValues: { ':revision': toAttribute(revision) },
});

/** How many rules the tenant has. */
export const countRules = async (table: Table, tenant: string): Promise<number> =>
  Number((await table.get(keys.ruleCount(tenant), { consistent: true }))?.inUse?.N ?? 0);

const counted = (tenant: string, change: 1 | -1, most?: number): Write => ({
  update: {
    Key: keyItem(keys.ruleCount(tenant)),
    UpdateExpression: 'ADD inUse :change',
    ExpressionAttributeValues: {
      ':change': toAttribute(change),
      ...(most !== undefined && { ':most': toAttribute(most) }),
    },
    ...(most !== undefined && { ConditionExpression: 'attribute_not_exists(inUse) OR inUse < :most' }),
  },
});

/**
 * @param before as it was read, or undefined for a new one
 * @param most rules that the tenant may have
 * @throws ConditionFailed if it is no longer so, or the tenant has as many already
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
    before === undefined ? { ConditionExpression: 'attribute_not_exists(pk)' } : asRead(before.revision);
  const count = before === undefined ? [counted(after.tenant, 1, most)] : [];
  return table.transact([{ put: { Item: ruleItem(after), ...condition } }, ...count, ...remember], token);
};

/** @throws ConditionFailed if it is no longer as it was read */
export const removeRule = (
  table: Table,
  before: ConversionRuleRecord,
  { remember, token }: { readonly remember: readonly Write[]; readonly token: string },
): Promise<void> => {
  const Key = keyItem(keys.conversionRule(before.tenant, before.name));
  const removed = { remove: { Key, ...asRead(before.revision) } };
  return table.transact([removed, counted(before.tenant, -1), ...remember], token);
};

/** A rule as the API shows it. */
export const toRule = ({ tenant: _, id: __, actor: ___, ...shown }: ConversionRuleRecord): ConversionRule =>
  shown;
