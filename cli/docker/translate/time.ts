import { DockerError } from '../errors.ts';

/** A time in a docker query: seconds since 1970 with a fraction, or RFC 3339. Undefined if missing or 0. */
export const parseTime = (text: string | null): number | undefined => {
  if (text === null || text === '' || text === '0') return undefined;
  const milliseconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isFinite(milliseconds)) return milliseconds;
  throw new DockerError(400, `invalid time: ${text}`);
};

export const isTrue = (text: string | null): boolean => text !== null && ['1', 'true', 'True'].includes(text);
