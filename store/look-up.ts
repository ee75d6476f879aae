import type { Item } from './item.ts';
import type { Key } from './keys.ts';
import type { Table } from './table.ts';

/** The limit of BatchGetItem. */
const BATCH = 100;

const keyOf = ({ pk, sk }: Item): Key => ({ pk: pk?.S ?? '', sk: sk?.S ?? '' });
const textOf = ({ pk, sk }: Item): string => `${pk?.S}\u0000${sk?.S}`;

/**
 * The items of those that an index of keys returned. Costs at least half a read unit for each.
 * @returns in the same order; undefined for an item that no longer exists
 */
export const lookUp = async (
  table: Table,
  items: readonly Item[],
): Promise<readonly (Item | undefined)[]> => {
  const found = new Map<string, Item>();
  for (let at = 0; at < items.length; at += BATCH)
    for (const item of await table.batchGet(items.slice(at, at + BATCH).map(keyOf)))
      found.set(textOf(item), item);
  return items.map((item) => found.get(textOf(item)));
};
