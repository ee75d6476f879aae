/**
 * Full jitter: a random wait up to a limit that doubles with each attempt, so that hosts that were disconnected at the same
 * time do not reconnect at the same time (AWS Architecture Blog, "Exponential Backoff and Jitter").
 * The first parameter is the number of failed attempts; `random` is in [0, 1). Returns milliseconds.
 */
export const fullJitter = (
  attempt: number,
  { baseMs, capMs }: { baseMs: number; capMs: number },
  random: () => number,
): number => random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));

export const RECONNECT = { baseMs: 500, capMs: 30_000 } as const;

/**
 * Wait before an unacknowledged message is repeated: half of a doubling limit plus a random part of the other half, because
 * an answer takes some time.
 */
export const resendAfter = (attempt: number, random: () => number): number => {
  const ceiling = Math.min(30_000, 2_000 * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (random() * ceiling) / 2;
};
