import type { LogFields, Logger } from '../../../workflow/logger.ts';

/**
 * Structured log lines, one JSON object each. What goes in is named by whoever logs: ids, codes, counts,
 * durations. Events, bodies, headers, tokens and environment values do not belong in a log, and nothing here
 * takes a whole object apart to find out what is in it.
 */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly now: () => Date;
  readonly fields?: LogFields;
  /** Takes a line without its end; by default standard output. */
  readonly write?: (line: string) => void;
}

/** Straight to standard output: the runtime's `console` would wrap the line into one of its own. */
export const writeLine = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Name, message and stack of an error and of its causes; no other member, for SDK errors carry whole items. */
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
