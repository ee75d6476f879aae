import { TABLE } from '../core/contract/deployment.ts';
import type { CursorScope, Cursors } from './cursor.ts';
import type { Item } from './item.ts';
import type { IndexName } from './keys.ts';
import { lookUp } from './look-up.ts';
import type { Table } from './table.ts';

/** Where a list is read: in one partition, or in several that are merged by their sort keys, which differ. */
export interface ListSource {
  /** @default the table itself */
  readonly index?: IndexName;
  /** Partition keys. */
  readonly shards: readonly string[];
  readonly descending?: boolean;
}

export interface ListPlan<T> {
  readonly scope: CursorScope;
  readonly source: ListSource;
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

/** Maximum number of queries of each shard per page. */
const QUERIES_PER_PAGE = 4;
/**
 * Items that a page with a filter reads: about six read units. A filter with few matches gives short pages instead of
 * expensive ones.
 */
const FILTERED_ITEMS = 80;
/** Items that are read of each shard in addition to its share, because items are not shared out evenly; and at once if more are missing. */
const SPARE = 8;

interface Entry {
  readonly sortKey: string;
  /** Undefined if it was deleted after the index was read. */
  readonly item: Item | undefined;
}

interface Shard {
  readonly pk: string;
  /** Read and not taken yet. */
  entries: Entry[];
  /** Where the next query continues; undefined at first. */
  after: Item | undefined;
  hasEnded: boolean;
}

/** Whether the index has only keys, so that the items are read from the table. */
const isOfKeys = (index: IndexName | undefined): boolean =>
  index !== undefined && TABLE.projected[index].length === 0;

/** The next text in the order of keys. */
const following = (text: string): string => `${text}\u0000`;

/** @param after sort key of the last item of the page before; null on the first page */
const querySource = async (
  table: Table,
  { index, descending = false }: ListSource,
  shard: Shard,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<void> => {
  const page = await table.query({
    ...(index && { index }),
    key: { pk: shard.pk, sk: after === null ? '' : descending ? after : following(after) },
    sort: after === null ? 'any' : descending ? 'until' : 'from',
    ...{ descending, limit },
    ...(shard.after && { after: shard.after }),
  });
  const whole = isOfKeys(index) ? await lookUp(table, page.items) : page.items;
  const name = index ? `${index}sk` : 'sk';
  shard.entries = page.items.map((item, at) => ({ sortKey: item[name]?.S ?? '', item: whole[at] }));
  shard.after = page.after;
  shard.hasEnded = page.after === undefined;
};

/** The shard whose next entry is the next one of the list. Each shard has one, or has ended. */
const nextShard = (shards: readonly Shard[], isDescending: boolean): Shard | undefined => {
  const [first, ...others] = shards.filter(({ entries }) => entries.length > 0);
  const key = (shard: Shard | undefined) => shard?.entries[0]?.sortKey ?? '';
  return others.reduce((best, one) => (key(one) < key(best) === isDescending ? best : one), first);
};

/** Whether each shard has an entry or has ended, after reading those that have none, at most a few times. */
const createFill = (
  table: Table,
  source: ListSource,
  shards: readonly Shard[],
  options: { readonly after: string | null; readonly limit: number },
) => {
  let queries = QUERIES_PER_PAGE * shards.length;
  return async (): Promise<boolean> => {
    for (;;) {
      const empty = shards.filter(({ entries, hasEnded }) => entries.length === 0 && !hasEnded);
      if (empty.length === 0) return true;
      if (queries === 0) return false;
      queries -= 1;
      await Promise.all(
        empty.map((shard) => {
          const isFirst = shard.after === undefined || shards.length === 1;
          return querySource(table, source, shard, isFirst ? options : { ...options, limit: SPARE });
        }),
      );
    }
  };
};

/**
 * One page of a list: at most `limit` items, at any position.
 * @throws ConflictError `cursor-invalid`
 */
export const readPage = async <T>(
  table: Table,
  cursors: Cursors,
  { scope, source, parse, matches }: ListPlan<T>,
  { limit, cursor }: ListRequest,
): Promise<ListPage<T>> => {
  const after = cursor === undefined ? null : ((await cursors.verify(scope, cursor)).after?.sk ?? null);
  const most = matches === undefined || isOfKeys(source.index) ? limit : FILTERED_ITEMS;
  const count = source.shards.length;
  const share = count === 1 ? most : Math.ceil(most / count) + SPARE;
  const shards = source.shards.map((pk): Shard => ({ pk, entries: [], after: undefined, hasEnded: false }));
  const items: T[] = [];
  let last = after;
  const fill = createFill(table, source, shards, { after, limit: share });
  let examined = 0;
  while (items.length < limit && (matches === undefined || examined < most) && (await fill())) {
    const next = nextShard(shards, source.descending ?? false)?.entries.shift();
    if (next === undefined) break;
    examined += 1;
    last = next.sortKey;
    const record = next.item && parse(next.item);
    if (record !== undefined && (matches?.(record) ?? true)) items.push(record);
  }
  const isEnd = shards.every(({ entries, hasEnded }) => entries.length === 0 && hasEnded);
  return {
    items,
    nextCursor: isEnd
      ? null
      : await cursors.sign(scope, { after: last === null ? null : { sk: last }, part: 0 }),
  };
};
