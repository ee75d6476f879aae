const MAX_LIMIT = 1_000_000;

/** The first `limit` items of an async iterator. Fetches no more pages than needed. */
export const take = async <T>(items: AsyncIterable<T>, limit = MAX_LIMIT): Promise<T[]> => {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length >= limit) break;
  }
  return taken;
};
