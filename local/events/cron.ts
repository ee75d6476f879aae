/**
 * Schedule expressions of EventBridge rules: `rate(5 minutes)` and `cron(0 12 ? * MON-FRI *)`, in UTC.
 * Source: EventBridge User Guide, "Creating a rule that runs on a schedule".
 */
import { Cron } from 'croner';
import { ServiceError } from '../errors.ts';

/** When a schedule next fires. `after` and the result: milliseconds since 1970; undefined: never again. */
export type Schedule =
  | { readonly kind: 'rate'; readonly periodMs: number }
  | { readonly kind: 'cron'; next(after: number): number | undefined };

const invalid = (text: string) =>
  new ServiceError('ValidationException', `Parameter ScheduleExpression is not valid: '${text}'`);

const unitMs: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

const parseRate = (text: string, inner: string): Schedule => {
  const [, count, unit, plural] = /^(\d+) (minute|hour|day)(s?)$/.exec(inner.trim()) ?? [];
  const number = Number(count);
  // AWS requires the singular for one, and the plural otherwise.
  if (unit === undefined || !(number > 0) || (number === 1) !== (plural === '')) throw invalid(text);
  return { kind: 'rate', periodMs: number * (unitMs[unit] ?? 0) };
};

const DAY_NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const YEARS = { low: 1970, high: 2199 };

/** EventBridge numbers weekdays from 1 (Sunday), croner from 0. */
const weekdayOf = (text: string): string => {
  if (!/^\d+$/.test(text)) return text;
  const name = DAY_NAMES[Number(text) - 1];
  if (name === undefined) throw new RangeError(text);
  return name;
};

const isYear = (text: string): boolean => {
  const numbers = text.match(/\d+/g) ?? [];
  return numbers.every(
    (one, at) => (at > 0 && text.includes('/')) || (Number(one) >= YEARS.low && Number(one) <= YEARS.high),
  );
};

/**
 * The expression in croner's dialect: seconds first, `*` for `?`, other numbers of weekdays.
 * @throws RangeError for what EventBridge refuses and croner accepts
 */
const toCroner = (inner: string): string => {
  const parts = inner.trim().split(/\s+/);
  const [minute = '', hour = '', dayOfMonth = '', month = '', dayOfWeek = '', year = ''] = parts;
  // Exactly one of the two is set; the other is `?`.
  if (parts.length !== 6 || (dayOfMonth === '?') === (dayOfWeek === '?')) throw new RangeError(inner);
  if (!isYear(year) || [minute, hour, month, year].some((part) => part.includes('?')))
    throw new RangeError(inner);
  const weekdays = dayOfWeek === 'L' ? 'SAT' : dayOfWeek.replaceAll(/(?<![#/\d])\d+/g, weekdayOf);
  return `0 ${minute} ${hour} ${dayOfMonth} ${month} ${weekdays} ${year}`.replaceAll('?', '*');
};

const parseCron = (text: string, inner: string): Schedule => {
  try {
    const cron = new Cron(toCroner(inner), { paused: true, timezone: 'UTC', sloppyRanges: true });
    return { kind: 'cron', next: (after) => cron.nextRun(new Date(after))?.getTime() };
  } catch {
    throw invalid(text);
  }
};

/** @throws ServiceError `ValidationException` */
export const parseSchedule = (text: string): Schedule => {
  const [, kind, inner = ''] = /^(rate|cron)\((.*)\)$/.exec(text.trim()) ?? [];
  if (kind === 'rate') return parseRate(text, inner);
  if (kind === 'cron') return parseCron(text, inner);
  throw invalid(text);
};

/**
 * The first time to fire after `now`, for a schedule that last fired (or was created) at `last`. Missed times (the
 * machine was suspended) fire once: at `now`.
 */
export const nextFiring = (schedule: Schedule, last: number, now: number): number | undefined => {
  const due = schedule.kind === 'rate' ? last + schedule.periodMs : schedule.next(last);
  return due === undefined ? undefined : Math.max(due, now);
};
