import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextFiring, parseSchedule } from '../../../../local/events/cron.ts';

const at = (iso: string): number => Date.parse(iso);
const nextOf = (expression: string, after: string): string | undefined => {
  const schedule = parseSchedule(expression);
  if (schedule.kind !== 'cron') throw new TypeError(expression);
  const next = schedule.next(at(after));
  return next === undefined ? undefined : new Date(next).toISOString().slice(0, 16);
};

describe('cron expressions', () => {
  // Expected times from the examples of the EventBridge User Guide and a calendar.
  test.each([
    ['cron(0 10 * * ? *)', '2026-11-23T10:00:00Z', '2026-11-24T10:00'],
    ['cron(15 12 * * ? *)', '2026-11-23T12:14:59Z', '2026-11-23T12:15'],
    ['cron(0 18 ? * MON-FRI *)', '2026-11-27T18:00:00Z', '2026-11-30T18:00'],
    ['cron(0 8 1 * ? *)', '2026-11-23T00:00:00Z', '2026-12-01T08:00'],
    ['cron(0/10 * ? * MON-FRI *)', '2026-11-23T09:05:00Z', '2026-11-23T09:10'],
    ['cron(0/5 8-17 ? * 2-6 *)', '2026-11-23T17:55:00Z', '2026-11-24T08:00'],
    ['cron(0 9 ? * 2#1 *)', '2026-11-23T00:00:00Z', '2026-12-07T09:00'],
    ['cron(0 9 ? * 6L *)', '2026-11-23T00:00:00Z', '2026-11-27T09:00'],
    ['cron(0 0 L * ? *)', '2027-02-01T00:00:00Z', '2027-02-28T00:00'],
    ['cron(0 0 15W * ? *)', '2026-11-01T00:00:00Z', '2026-11-16T00:00'],
    ['cron(0 0 1W * ? *)', '2026-07-31T12:00:00Z', '2026-08-03T00:00'],
    ['cron(0 0 LW * ? *)', '2026-10-01T00:00:00Z', '2026-10-30T00:00'],
    ['cron(0 0 29 2 ? *)', '2026-11-23T00:00:00Z', '2028-02-29T00:00'],
    ['cron(30 1 1 JAN ? 2026)', '2026-11-23T00:00:00Z', undefined],
  ])('%s after %s', (expression, after, expected) => {
    expect(nextOf(expression, after)).toBe(expected);
  });

  test.each([
    'cron(0 10 * * * *)',
    'cron(0 10 ? * ? *)',
    'cron(0 10 * * ?)',
    'cron(60 10 * * ? *)',
    'cron(0 10 ? * MOO *)',
    'rate(1 minutes)',
    'rate(5 minute)',
    'rate(0 minutes)',
    'rate(5 seconds)',
    'at(2026-01-01T00:00:00)',
  ])('%s is refused', (expression) => {
    expect(() => parseSchedule(expression)).toThrow(/ScheduleExpression is not valid/);
  });

  test('the next time is in the future and matches', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 59 }),
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 4e12 }),
        (minute, hour, after) => {
          const schedule = parseSchedule(`cron(${minute} ${hour} * * ? *)`);
          const next = schedule.kind === 'cron' ? (schedule.next(after) ?? 0) : 0;
          const date = new Date(next);
          expect(next).toBeGreaterThan(after);
          expect(next - after).toBeLessThanOrEqual(86_400_000);
          expect([date.getUTCHours(), date.getUTCMinutes()]).toEqual([hour, minute]);
        },
      ),
    );
  });
});

test('missed times result in one event', () => {
  const schedule = parseSchedule('rate(1 minute)');
  expect(nextFiring(schedule, 0, 30_000)).toBe(60_000);
  expect(nextFiring(schedule, 0, 3_600_000)).toBe(3_600_000);
});
