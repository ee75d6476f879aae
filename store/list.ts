import { TABLE } from '../core/contract/deployment.ts';
import { type CursorPosition, type CursorScope, type Cursors, positionOf, startKey } from './cursor.ts';
import type { Item } from './item.ts';
import type { IndexKey, IndexName } from './keys.ts';
import { lookUp } from './look-up.ts';
import type { Table } from './table.ts';

/** One query of a list. */
export interface ListPart {
  /** @default the table itself */
  readonly index?: IndexName;
  readonly key: IndexKey;
  readonly sort?: 'prefix' | 'any';
  readonly descending?: boolean;
}

export interface ListPlan<T> {
  readonly scope: CursorScope;
  /** Read one after another. */
  readonly parts: readonly ListPart[];
  readonly parse: (item: Item) => T;
  /** A filter without an index: items that do not match cost as much as those that do. */
  readonly matches?: (record: T) => boolean;
}

export interface ListRequest {
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface ListPage<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Maximum number of queries per page. */
const QUERIES_PER_PAGE = 4;
/**
 * Items that a page with a filter reads, in one query: about six read units. A filter with few matches gives short pages
 * instead of expensive ones.
 */
const FILTERED_ITEMS = 80;

interface Progress<T> {
  readonly items: T[];
  /** Null at the end of the list. */
  position: CursorPosition | null;
}

/** Whether the index has only keys, so that the items are read from the table. */
const isOfKeys = (index: IndexName | undefined): boolean =>
  index !== undefined && TABLE.projected[index].length === 0;

const everything = (): boolean => true;

const queryOnce = async <T>(
  table: Table,
  plan: ListPlan<T>,
  progress: Progress<T>,
  limit: number,
): Promise<void> => {
  const { position, items } = progress;
  const part = position && plan.parts[position.part];
  if (position === null || part === undefined || part === null) return;
  const left = limit - items.length;
  const { matches = everything } = plan;
  const page = await table.query({
    ...part,
    limit: matches === everything || isOfKeys(part.index) ? left : FILTERED_ITEMS,
    after: startKey(position.after),
  });
  const whole = isOfKeys(part.index) ? await lookUp(table, page.items) : page.items;
  for (const [at, item] of page.items.entries()) {
    const found = whole[at];
    const record = found && plan.parse(found);
    if (record === undefined || !matches(record)) continue;
    items.push(record);
    const isLast = at === page.items.length - 1 && page.after === undefined;
    if (items.length === limit && !isLast) {
      progress.position = { part: position.part, after: positionOf(item, part.index) };
      return;
    }
  }
  if (page.after !== undefined)
    progress.position = {
      part: position.part,
      after: Object.fromEntries(Object.entries(page.after).map(([name, value]) => [name, value.S ?? ''])),
    };
  else
    progress.position =
      position.part + 1 < plan.parts.length ? { part: position.part + 1, after: null } : null;
};

/**
 * One page of a list: at most `limit` items, from one query with a filter, otherwise from at most
 * {@link QUERIES_PER_PAGE}, at any position.
 * @throws ConflictError `cursor-invalid`
 */
export const readPage = async <T>(
  table: Table,
  cursors: Cursors,
  plan: ListPlan<T>,
  { limit, cursor }: ListRequest,
): Promise<ListPage<T>> => {
  const progress: Progress<T> = {
    items: [],
    position: cursor === undefined ? { part: 0, after: null } : await cursors.verify(plan.scope, cursor),
  };
  for (let query = 0; query < QUERIES_PER_PAGE; query += 1) {
    await queryOnce(table, plan, progress, limit);
    const isFull = progress.items.length >= limit;
    if (progress.position === null || isFull || plan.matches !== undefined) break;
  }
  return {
    items: progress.items,
    nextCursor: progress.position === null ? null : await cursors.sign(plan.scope, progress.position),
  };
};
