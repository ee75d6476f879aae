/** Replaces the parsers of dates by that of the platform. Services of the JSON protocol send times as numbers of seconds. */
const parse = (value: string | undefined): Date | undefined => {
  if (value === undefined) return undefined;
  const milliseconds = Date.parse(value);
  if (Number.isNaN(milliseconds)) throw new TypeError('Invalid date');
  return new Date(milliseconds);
};

export const dateToUtcString = (date: Date): string => date.toUTCString();
export const parseRfc3339DateTime = parse;
export const parseRfc3339DateTimeWithOffset = parse;
export const parseRfc7231DateTime = parse;
export const parseEpochTimestamp = (value: number | undefined): Date | undefined =>
  value === undefined ? undefined : new Date(Math.round(value * 1000));
