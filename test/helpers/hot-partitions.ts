import { isDeepStrictEqual } from 'node:util';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../../core/contract/deployment.ts';
import type { Item } from '../../store/item.ts';

/** A change of an item: its images before and after. */
export interface Change {
  readonly before: Item | undefined;
  readonly after: Item | undefined;
}

const UNIT_BYTES = 1024;

/** @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
const valueBytes = (value: AttributeValue): number => {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return Math.ceil(value.N.length / 2) + 1;
  if (value.B !== undefined) return value.B.length;
  if (value.L !== undefined) return 3 + value.L.reduce((sum, one) => sum + 1 + valueBytes(one), 0);
  if (value.M !== undefined) return 3 + itemBytes(value.M, 1);
  return 1;
};

const itemBytes = (item: Item, overhead = 0): number =>
  Object.entries(item).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value) + overhead,
    0,
  );

const unitsOf = (...items: readonly (Item | undefined)[]): number =>
  Math.max(...items.map((item) => (item === undefined ? 0 : Math.ceil(itemBytes(item) / UNIT_BYTES))));

const only = (item: Item | undefined, index: (typeof TABLE.indexes)[number]): Item | undefined => {
  if (item?.[`${index}pk`] === undefined) return undefined;
  const names = ['pk', 'sk', `${index}pk`, `${index}sk`, ...TABLE.projected[index]];
  return Object.fromEntries(names.flatMap((name) => (item[name] === undefined ? [] : [[name, item[name]]])));
};

/** Partition key → write units that the change of an item takes in an index. */
const indexUnits = (old: Item | undefined, now: Item | undefined, index: string): [string, number][] => {
  if (isDeepStrictEqual(old, now)) return [];
  const place = (item: Item | undefined) => item && `${item[`${index}pk`]?.S}/${item[`${index}sk`]?.S}`;
  const partition = (item: Item) => `${index} ${item[`${index}pk`]?.S}`;
  if (old !== undefined && now !== undefined && place(old) === place(now))
    return [[partition(now), unitsOf(old, now)]];
  // An entry that moves is deleted and inserted.
  return [old, now].flatMap((item) => (item === undefined ? [] : [[partition(item), unitsOf(item)]]));
};

/** Partition key, with the name of its index → write units that changes take in it. Writes in transactions take twice as many. */
export const partitionUnits = (changes: readonly Change[]): ReadonlyMap<string, number> => {
  const units = new Map<string, number>();
  for (const { before, after } of changes) {
    const entries: [string, number][] = [
      [(after ?? before)?.pk?.S ?? '', unitsOf(before, after)],
      ...TABLE.indexes.flatMap((index) => indexUnits(only(before, index), only(after, index), index)),
    ];
    for (const [key, more] of entries) units.set(key, (units.get(key) ?? 0) + more);
  }
  return units;
};
