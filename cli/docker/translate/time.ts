import { DockerError } from '../errors.ts';

/** A time in a docker query: seconds since 1970 with a fraction, or RFC 3339. Undefined if missing or 0. */
export const parseTime = (text: string | null): number | undefined => {
  if (text === null || text === '' || text === '0') return undefined;
  const milliseconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isFinite(milliseconds)) return milliseconds;
  throw new DockerError(400, `invalid time: ${text}`);
};

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** The filter `until`: a time, or a duration before now such as `1h30m`. */
export const parseUntil = (text: string | undefined, now: number): number | undefined => {
  if (text === undefined || !/^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(text)) return parseTime(text ?? null);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
  return now - parts.reduce((sum, [, value, unit = '']) => sum + Number(value) * (UNITS[unit] ?? 0), 0);
};

/** When a resource was created, in seconds since 1970. */
export const createdSeconds = ({ createdAt }: { readonly createdAt: string }): number =>
  Math.floor(Date.parse(createdAt) / 1000);

export const isTrue = (text: string | null): boolean => text !== null && ['1', 'true', 'True'].includes(text);
