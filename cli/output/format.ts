const twoDigits = (value: number): string => String(value).padStart(2, '0');

/** Seconds in the format of a .NET TimeSpan: `00:00:00`, and `1.02:03:04` from a day on. */
export const timeSpan = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / 86_400);
  const time = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60]
    .map(twoDigits)
    .join(':');
  return days === 0 ? time : `${days}.${time}`;
};

/** How long a step took: `40 ms`, `1.3 s`, `2 min 5 s`. */
export const duration = (milliseconds: number): string => {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
};

/** MiB as text. */
export const memory = (megabytes: number): string =>
  megabytes < 1024 ? `${megabytes} MiB` : `${Number((megabytes / 1024).toFixed(1))} GiB`;

export const bytes = (count: number): string => {
  if (count < 1024 * 1024) return `${Math.round(count / 1024)} KiB`;
  return `${Number((count / 1024 / 1024).toFixed(1))} MiB`;
};

/** `2026-01-31 09:05:12Z`, independent of locale and time zone. */
export const instant = (timestamp: string | null): string =>
  timestamp === null ? '' : `${timestamp.slice(0, 19).replace('T', ' ')}Z`;

export const pairs = (record: Readonly<Record<string, string>>): string =>
  Object.entries(record)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** Words quoted as for a shell. */
export const commandLine = (words: readonly string[]): string =>
  words
    .map((word) => (/^[\w@%+=:,./\\-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
