import type { LogFields, Logger } from '../../../workflow/logger.ts';

/**
 * Structured log lines, one JSON object each. The caller names each field: ids, codes, counts, durations. Events, bodies,
 * headers, tokens and environment values do not belong in a log, so the logger never serializes whole objects.
 */
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

type LogLevel = (typeof LOG_LEVELS)[number];

interface LoggerOptions {
  readonly level: LogLevel;
  readonly now: () => Date;
  readonly fields?: LogFields;
  /** Writes a line, which has no line break. @default standard output */
  readonly write?: (line: string) => void;
}

/** Writes to standard output, because the runtime's `console` would wrap the line. */
export const writeLine = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Name, message and stack of an error and its causes. No other members, because SDK errors contain whole items. */
const describeError = (error: unknown, depth = 0): Record<string, unknown> => {
  if (!(error instanceof Error)) return { name: typeof error };
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause && depth < 3 ? { cause: describeError(cause, depth + 1) } : {}) };
};

export const createLogger = (options: LoggerOptions): Logger => {
  const { level, now, fields = {}, write = writeLine } = options;
  const lowest = LOG_LEVELS.indexOf(level);
  const log =
    (at: LogLevel) =>
    (message: string, more: LogFields = {}, error?: unknown): void => {
      if (LOG_LEVELS.indexOf(at) < lowest) return;
      write(
        JSON.stringify({
          level: at,
          timestamp: now().toISOString(),
          message,
          ...fields,
          ...more,
          ...(error === undefined ? {} : { error: describeError(error) }),
        }),
      );
    };
  return {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    with: (more) => createLogger({ ...options, fields: { ...fields, ...more } }),
  };
};

/** Logs that an item of the table was left out. */
export const logUnreadable =
  (logger: Pick<Logger, 'error'>) =>
  (error: unknown): void =>
    logger.error('skipped an unreadable item', {}, error);
