import type { AttributeValue } from '@aws-sdk/client-dynamodb';

export type Item = Record<string, AttributeValue>;

/**
 * Converts JSON values and bytes to DynamoDB attributes and back. The SDK's conversion is not used: it detects plain objects
 * by `constructor` and assigns members one by one, so a label or variable named `constructor` or `__proto__` breaks or is
 * lost.
 */

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

const toNumber = (value: number): AttributeValue => {
  const exact = Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (!exact) throw new TypeError(`The table cannot store ${value} exactly.`);
  return { N: String(value) };
};

const toObject = (value: object): AttributeValue => {
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.filter((one) => one !== undefined).map(toAttribute) };
  if (isPlain(value)) return { M: toItem(value) };
  throw new TypeError(`The table cannot store a ${value.constructor.name}.`);
};

/**
 * One value, e.g. for an expression.
 * @throws TypeError for a value that is neither JSON nor bytes
 */
export const toAttribute = (value: unknown): AttributeValue => {
  if (value === null || value === undefined) return { NULL: true };
  switch (typeof value) {
    case 'string':
      return { S: value };
    case 'boolean':
      return { BOOL: value };
    case 'number':
      return toNumber(value);
    case 'object':
      return toObject(value);
    default:
      throw new TypeError(`The table cannot store a ${typeof value}.`);
  }
};

/** A value's members as attributes; null ones are omitted at every depth, because absent and null mean the same in the table. */
export const toItem = (value: object): Item =>
  Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null && member !== undefined)
      .map(([name, member]) => [name, toAttribute(member)]),
  );

const fromAttribute = ({ S, N, BOOL, B, L, M, NULL }: AttributeValue): unknown => {
  if (M !== undefined) return fromItem(M);
  if (L !== undefined) return L.map(fromAttribute);
  if (N !== undefined) return Number(N);
  if (NULL !== undefined) return null;
  return S ?? BOOL ?? B;
};

export const fromItem = (item: Item): Record<string, unknown> =>
  Object.fromEntries(Object.entries(item).map(([name, attribute]) => [name, fromAttribute(attribute)]));
