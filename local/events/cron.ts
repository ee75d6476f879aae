/**
 * Schedule expressions of EventBridge rules: `rate(5 minutes)` and `cron(0 12 ? * MON-FRI *)`, in UTC.
 * Source: EventBridge User Guide, "Creating a rule that runs on a schedule".
 */
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

const monthNames = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

interface Field {
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}
const fields = {
  minute: { low: 0, high: 59 },
  hour: { low: 0, high: 23 },
  dayOfMonth: { low: 1, high: 31 },
  month: { low: 1, high: 12, names: monthNames },
  dayOfWeek: { low: 1, high: 7, names: dayNames },
  year: { low: 1970, high: 2199 },
} as const satisfies Record<string, Field>;

const numberIn = (text: string, field: Field): number => {
  const named = field.names?.indexOf(text.toUpperCase()) ?? -1;
  const number = named >= 0 ? named + field.low : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= field.low && number <= field.high)) throw new RangeError(text);
  return number;
};

/** Values of a field made of `*`, numbers, names, ranges, lists and steps. */
const parseField = (text: string, field: Field): Set<number> => {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [range = '', step] = part.split('/');
    const [first = '', last] = range.split('-');
    const low = range === '*' ? field.low : numberIn(first, field);
    const open = range === '*' || (step !== undefined && last === undefined);
    const high = open ? field.high : last === undefined ? low : numberIn(last, field);
    const by = step === undefined ? 1 : Number(step);
    if (!(Number.isInteger(by) && by > 0) || high < low) throw new RangeError(part);
    for (let value = low; value <= high; value += by) values.add(value);
  }
  return values;
};

const dayMs = 86_400_000;
const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();
/** 1 is Sunday. */
const weekday = (year: number, month: number, day: number): number =>
  new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;

type DayRule = (year: number, month: number, day: number) => boolean;

/** The weekday nearest to a day, within its month. */
const nearestWeekday = (year: number, month: number, wanted: number): number => {
  const last = daysIn(year, month);
  const day = Math.min(wanted, last);
  const on = weekday(year, month, day);
  if (on === 7) return day > 1 ? day - 1 : day + 2;
  if (on === 1) return day < last ? day + 1 : day - 2;
  return day;
};

const dayOfMonthRule = (text: string): DayRule => {
  if (text === 'L') return (year, month, day) => day === daysIn(year, month);
  if (text === 'LW') return (year, month, day) => day === nearestWeekday(year, month, daysIn(year, month));
  const [, near] = /^(\d+)W$/.exec(text) ?? [];
  if (near !== undefined) {
    const wanted = numberIn(near, fields.dayOfMonth);
    return (year, month, day) => day === nearestWeekday(year, month, wanted);
  }
  const days = parseField(text, fields.dayOfMonth);
  return (_year, _month, day) => days.has(day);
};

const dayOfWeekRule = (text: string): DayRule => {
  if (text === 'L') return (year, month, day) => weekday(year, month, day) === 7;
  const [, name, form, nth] = /^(\w+?)(L|#(\d))$/.exec(text) ?? [];
  if (name !== undefined && form !== undefined) {
    const wanted = numberIn(name, fields.dayOfWeek);
    const inPlace: DayRule =
      form === 'L'
        ? (year, month, day) => day + 7 > daysIn(year, month)
        : (_year, _month, day) => Math.ceil(day / 7) === Number(nth);
    return (year, month, day) => weekday(year, month, day) === wanted && inPlace(year, month, day);
  }
  const days = parseField(text, fields.dayOfWeek);
  return (year, month, day) => days.has(weekday(year, month, day));
};

const parseDays = (dayOfMonth: string, dayOfWeek: string): DayRule => {
  // Exactly one of the two is set; the other is `?`.
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) throw new RangeError('one of the two days must be ?');
  return dayOfWeek === '?' ? dayOfMonthRule(dayOfMonth) : dayOfWeekRule(dayOfWeek);
};

const parseCron = (text: string, inner: string): Schedule => {
  const parts = inner.trim().split(/\s+/);
  const [minute = '', hour = '', dayOfMonth = '', month = '', dayOfWeek = '', year = ''] = parts;
  if (parts.length !== 6) throw invalid(text);
  try {
    const minutes = [...parseField(minute, fields.minute)].sort((a, b) => a - b);
    const hours = [...parseField(hour, fields.hour)].sort((a, b) => a - b);
    const months = parseField(month, fields.month);
    const years = parseField(year, fields.year);
    const onDay = parseDays(dayOfMonth, dayOfWeek);
    const lastYear = Math.max(...years);
    const timeOfDay = hours.flatMap((h) => minutes.map((min) => h * 3_600_000 + min * 60_000));
    const isOn = (date: Date): boolean => {
      const [y, m, d] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
      return years.has(y) && months.has(m) && onDay(y, m, d);
    };
    const next = (after: number): number | undefined => {
      const end = Date.UTC(lastYear + 1, 0, 1);
      for (let day = Math.floor(after / dayMs) * dayMs; day < end; day += dayMs) {
        const time = isOn(new Date(day)) ? timeOfDay.find((one) => day + one > after) : undefined;
        if (time !== undefined) return day + time;
      }
      return undefined;
    };
    return { kind: 'cron', next };
  } catch (error) {
    if (error instanceof RangeError) throw invalid(text);
    throw error;
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
