import type { Clock } from './clock.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields for filters: ids, counts, codes. Never tokens, environment values or whole messages. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;
export type Log = Readonly<Record<LogLevel, (message: string, facts?: LogFacts) => void>>;

const readable = (at: Date, level: LogLevel, message: string, facts: LogFacts): string => {
  const tail = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
    .join('');
  return `${at.toISOString().slice(11, 23)} ${level.padEnd(5)} ${message}${tail}`;
};

interface LogOptions {
  readonly level: LogLevel;
  /** Text lines for a terminal instead of JSON. */
  readonly forPeople: boolean;
  readonly clock: Pick<Clock, 'now'>;
  readonly write: (line: string) => void;
}

/** A log with one line per entry. */
export const createLog = ({ level, forPeople, clock, write }: LogOptions): Log => {
  const threshold = LOG_LEVELS.indexOf(level);
  const entry =
    (at: LogLevel) =>
    (message: string, facts: LogFacts = {}): void => {
      if (LOG_LEVELS.indexOf(at) < threshold) return;
      const time = clock.now();
      write(
        forPeople
          ? readable(time, at, message, facts)
          : JSON.stringify({ time: time.toISOString(), level: at, message, ...facts }),
      );
    };
  return { debug: entry('debug'), info: entry('info'), warn: entry('warn'), error: entry('error') };
};
