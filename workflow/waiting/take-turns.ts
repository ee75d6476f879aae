interface Turns {
  /** Milliseconds since 1970 at which the time for all ends. */
  readonly end: number;
  readonly now: () => Date;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A copy in random order, so that names and ids give no priority. */
export const shuffle = <T>(all: Iterable<T>, random: () => number): T[] =>
  [...all]
    .map((one) => ({ one, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);

/**
 * Calls `work` for each in random order, with an equal share of the remaining time. Unused time goes to the following
 * ones.
 *
 * @param work gets the end of its share, in milliseconds since 1970. It starts nothing after that, and does not throw.
 */
export const takeTurns = async <T>(
  all: Iterable<T>,
  { end, now, random }: Turns,
  work: (one: T, until: number) => Promise<void>,
): Promise<void> => {
  const order = shuffle(all, random);
  for (const [at, one] of order.entries()) {
    const start = now().getTime();
    await work(one, start + (end - start) / (order.length - at));
  }
};
