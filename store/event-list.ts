import type { Event } from '../core/contract/event.ts';
import type { CursorPosition, CursorScope, Cursors } from './cursor.ts';
import { entryKey, eventsOf, type LogEntry, parseEntry } from './event-log.ts';
import { readEach } from './item-format.ts';
import { keys } from './keys.ts';
import type { ListRequest } from './list.ts';
import type { Table } from './table.ts';

/** The list of events: a tenant's log from a position on. */

interface EventPage {
  readonly items: readonly Event[];
  /** Also set at the end of the list, because later events follow it. */
  readonly nextCursor: string;
}

/** The next event to return: index `part` of the entry `number`. */
interface Position {
  readonly number: number;
  readonly index: number;
}

const positionIn = ({ after, part }: CursorPosition): Position => ({
  number: Number(after?.number ?? 0),
  index: part,
});
const cursorPosition = ({ number, index }: Position): CursorPosition => ({
  after: { number: String(number) },
  part: index,
});

/** Entries that the first query of a page reads, and the factor for each further one: most entries have few events. */
const FIRST_ENTRIES = 10;
const FACTOR = 4;

/**
 * The entries from a number on. Entries are numbered without gaps, and each is written after those before it. So an
 * entry that is missing before another one was written while the query ran, or it has expired: it is read once more.
 */
const readEntries = async (
  table: Table,
  tenant: string,
  from: number,
  limit: number,
): Promise<LogEntry[]> => {
  const query = (consistent: boolean) =>
    table.query({
      key: from === 0 ? keys.event(tenant, '') : entryKey(tenant, from),
      sort: from === 0 ? 'any' : 'from',
      ...{ limit, consistent },
    });
  const numbers = (items: readonly { sk?: { S?: string } }[]) => items.map(({ sk }) => Number(sk?.S));
  const { items } = await query(false);
  const found = numbers(items);
  const isWhole = found.every((number, at) => number === (found[at - 1] ?? (from || number + 1) - 1) + 1);
  return readEach(table, isWhole ? items : (await query(true)).items, parseEntry);
};

const scopeOf = (tenant: string): CursorScope => ({ tenant, list: 'events', filters: {} });

/** The cursor after the newest event. */
export const endOfEvents = async (table: Table, cursors: Cursors, tenant: string): Promise<string> => {
  const { items } = await table.query({
    key: keys.event(tenant, ''),
    sort: 'any',
    ...{ descending: true, limit: 1, consistent: true },
  });
  const number = items[0] === undefined ? 0 : Number(items[0].sk?.S) + 1;
  return cursors.sign(scopeOf(tenant), cursorPosition({ number, index: 0 }));
};

const isExpired = ({ ttl }: LogEntry, now: Date): boolean => ttl * 1000 <= now.getTime();

/**
 * Events in order, from the cursor on, without expired ones that are not deleted yet. Each reader gets each event once.
 * @throws ConflictError `cursor-invalid`
 */
export const listEvents = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  { limit, cursor }: ListRequest,
  now: Date,
): Promise<EventPage> => {
  const scope = scopeOf(tenant);
  let next = positionIn(
    cursor === undefined ? { after: null, part: 0 } : await cursors.verify(scope, cursor),
  );
  const items: Event[] = [];
  for (let entries = FIRST_ENTRIES; items.length < limit; entries *= FACTOR) {
    const found = await readEntries(table, tenant, next.number, entries);
    for (const entry of found) {
      if (items.length === limit) break;
      const events = isExpired(entry, now) ? [] : eventsOf(entry);
      const start = entry.number === next.number ? next.index : 0;
      const taken = events.slice(start, start + limit - items.length);
      items.push(...taken);
      const end = start + taken.length;
      next =
        end < events.length ? { number: entry.number, index: end } : { number: entry.number + 1, index: 0 };
    }
    if (found.length < entries) break;
  }
  return { items, nextCursor: await cursors.sign(scope, cursorPosition(next)) };
};
