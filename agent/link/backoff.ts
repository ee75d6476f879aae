/**
 * Full jitter: anywhere between nothing and a ceiling that doubles with each attempt, so that hosts that lost
 * the same connection at once do not come back at once (AWS Architecture Blog, "Exponential Backoff and Jitter").
 * Takes the number of attempts that failed before, and `random` in [0, 1). Returns milliseconds.
 */
export const fullJitter = (
  attempt: number,
  { baseMs, capMs }: { baseMs: number; capMs: number },
  random: () => number,
): number => random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));

export const RECONNECT = { baseMs: 500, capMs: 30_000 } as const;

/**
 * When to send again what has not been acknowledged: half of a doubling ceiling for certain, half at random,
 * as an answer needs its time.
 */
export const resendAfter = (attempt: number, random: () => number): number => {
  const ceiling = Math.min(30_000, 2_000 * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (random() * ceiling) / 2;
};
