import { EVENTS_ROUTES } from '../../core/contract/http/routes/events.ts';
import { createCursors } from '../../store/cursor.ts';
import { endOfEvents, listEvents } from '../../store/event-list.ts';
import type { Table } from '../../store/table.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { pagingOf } from '../shared/http/paging.ts';

export const createHandler = (dependencies: HttpDependencies & { readonly table: Table }): LambdaHandler => {
  const { table, now, randomBytes } = dependencies;
  const cursors = createCursors(table, randomBytes);

  const list: RouteHandler<'listEvents'> = async ({ identity, query }) => ({
    status: 200,
    body:
      query.from === 'end' && query.cursor === undefined
        ? { items: [], nextCursor: await endOfEvents(table, cursors, identity.tenant) }
        : await listEvents(table, cursors, identity.tenant, pagingOf(query), now()),
  });

  return createHttpHandler(EVENTS_ROUTES, { listEvents: list }, dependencies);
};
