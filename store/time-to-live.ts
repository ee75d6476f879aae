const SECONDS_PER_DAY = 86_400;

/** The `ttl` of an item that is kept for `days` days after `at`, in seconds since 1970. */
export const ttlAfterDays = (at: string, days: number): number =>
  Math.floor(Date.parse(at) / 1000) + days * SECONDS_PER_DAY;
