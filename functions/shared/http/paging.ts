import { LIMITS } from '../../../core/contract/primitives.ts';
import type { ListPage, ListRequest } from '../../../store/list.ts';
import type { Answer } from './exchange.ts';

/** `limit` and `cursor` of a validated query. */
export const pagingOf = (query: {
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}): ListRequest => ({
  limit: query.limit === undefined ? LIMITS.pageDefault : Number(query.limit),
  cursor: query.cursor,
});

export const answerPage = <T>(page: ListPage<T>, show: (record: T) => unknown): Answer => ({
  status: 200,
  body: { items: page.items.map(show), nextCursor: page.nextCursor },
});
