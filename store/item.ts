import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';

export type Item = Record<string, AttributeValue>;

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
};

/** Leaves null members out, at every depth of plain objects: absent and null mean the same in the table. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null || !isPlain(value)) return value;
  const members = Object.entries(value)
    .filter(([, member]) => member !== null && member !== undefined)
    .map(([name, member]): [string, unknown] => [name, withoutNulls(member)]);
  // The SDK tells a plain object by its `constructor`, which a label or a variable may be called.
  return Object.hasOwn(value, 'constructor') ? new Map(members) : Object.fromEntries(members);
};

/** A value as DynamoDB attributes; null members are left out. */
export const toItem = (value: object): Item =>
  marshall(withoutNulls(value) as Record<string, unknown>, { removeUndefinedValues: true });

/** One value, e.g. for an expression. */
export const toAttribute = (value: unknown): AttributeValue => toItem({ value }).value ?? { NULL: true };

export const fromItem = (item: Item): Record<string, unknown> => unmarshall(item);
