import type { Event } from '../core/contract/event.ts';
import { type CursorScope, type Cursors, positionOf, startKey } from './cursor.ts';
import { eventKey, parseEvent } from './event-log.ts';
import type { Item } from './item.ts';
import { keys } from './keys.ts';
import type { ListRequest } from './list.ts';
import type { Table } from './table.ts';

interface EventPage {
  readonly items: readonly Event[];
  /** Also at the end of the list: what comes later comes after it. */
  readonly nextCursor: string;
}

/**
 * Parts of the table's stream are worked through side by side, so of two events of the same moment the later may be
 * stored first. Events this young, in milliseconds, are kept back, so that a cursor does not pass by one that is
 * still on its way.
 */
const SETTLING_MS = 2_000;

/** Events in their order, from the cursor on. Those that have expired, and are not deleted yet, are left out. */
export const listEvents = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  { limit, cursor }: ListRequest,
  now: Date,
): Promise<EventPage> => {
  const scope: CursorScope = { tenant, list: 'events', filters: {} };
  const position = cursor === undefined ? { after: null, part: 0 } : await cursors.verify(scope, cursor);
  const page = await table.query({
    key: keys.event(tenant, eventKey(now.getTime() - SETTLING_MS, '')),
    sort: 'until',
    limit,
    after: startKey(position.after),
  });
  const last = page.items.at(-1);
  const isCurrent = (item: Item) => item.ttl?.N === undefined || Number(item.ttl.N) * 1000 > now.getTime();
  return {
    items: page.items.filter(isCurrent).map(parseEvent),
    nextCursor: await cursors.sign(scope, {
      after: last === undefined ? position.after : positionOf(last),
      part: 0,
    }),
  };
};
