import type { OperationId } from '../contract/http/routes.ts';
import type { Client } from './client.ts';
import type { AnyRequest } from './request.ts';
import type { BodyOfAnswer, RequestOf } from './types.ts';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** Routes that return a list, except events, whose last page has a cursor too (see `read-events.ts`). */
export type ListId = {
  [Id in OperationId]: BodyOfAnswer<Id> extends Page<unknown> ? Id : never;
}[Exclude<OperationId, 'listEvents'>];

export type ItemOf<Id extends OperationId> = BodyOfAnswer<Id> extends Page<infer Item> ? Item : never;

/** Only for the compiler: the client has already validated the response against the route's schema. */
const isPage = <Item>(body: unknown): body is Page<Item> =>
  typeof body === 'object' && body !== null && 'items' in body && 'nextCursor' in body;

/** The pages of a list, fetched on demand. */
export async function* pagesOf<Id extends ListId>(
  client: Client,
  id: Id,
  request: RequestOf<Id>,
): AsyncGenerator<readonly ItemOf<Id>[], void, undefined> {
  let cursor: string | null = null;
  do {
    const base = request as AnyRequest;
    const next = cursor === null ? base : { ...base, query: { ...base.query, cursor } };
    const page: unknown = await client.call(id, next as RequestOf<Id>);
    if (!isPage<ItemOf<Id>>(page)) throw new TypeError(`${id} did not return a page.`);
    yield page.items;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** The items of all pages of a list. */
export async function* itemsOf<Id extends ListId>(
  client: Client,
  id: Id,
  request: RequestOf<Id>,
): AsyncGenerator<ItemOf<Id>, void, undefined> {
  for await (const page of pagesOf(client, id, request)) yield* page;
}
