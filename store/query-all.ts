import type { Item } from './item.ts';
import type { QueryOptions, Table } from './table.ts';

/** All items of a partition, or of an index. */
export const queryAll = async (table: Table, options: QueryOptions): Promise<readonly Item[]> => {
  const found: Item[] = [];
  let after: Item | undefined;
  do {
    const page = await table.query({ ...options, ...(after && { after }) });
    found.push(...page.items);
    after = page.after;
  } while (after !== undefined);
  return found;
};
