const MOST = 1_000_000;

/** Items of an async iterator, at most `limit`. Fetches no more pages than needed. */
export const take = async <T>(items: AsyncIterable<T>, limit = MOST): Promise<T[]> => {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length >= limit) break;
  }
  return taken;
};
