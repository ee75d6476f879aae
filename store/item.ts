import type { AttributeValue } from '@aws-sdk/client-dynamodb';

export type Item = Record<string, AttributeValue>;

/**
 * Values as DynamoDB attributes and back: what JSON has, and bytes. Not by the SDK's own conversion, which tells a plain
 * object by its `constructor` and assigns members one by one, so that a label or a variable called `constructor` or
 * `__proto__` breaks it or is lost.
 */

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

const toNumber = (value: number): AttributeValue => {
  const exact = Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (!exact) throw new TypeError(`The table cannot hold ${value} as it is.`);
  return { N: String(value) };
};

const toObject = (value: object): AttributeValue => {
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.filter((one) => one !== undefined).map(toAttribute) };
  if (isPlain(value)) return { M: toItem(value) };
  throw new TypeError(`The table holds no ${value.constructor.name}.`);
};

/**
 * One value, e.g. for an expression.
 * @throws TypeError for what JSON has not, other than bytes
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
      throw new TypeError(`The table holds no ${typeof value}.`);
  }
};

/** A value's members as attributes; null ones are left out at every depth: absent and null mean the same in the table. */
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
