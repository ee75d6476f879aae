const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number): string => String(value).padStart(2, '0');

/** API Gateway's `requestTime`: `12/Mar/2020:19:03:58 +0000`. @param epochMs milliseconds since 1970 */
export const requestTime = (epochMs: number): string => {
  const date = new Date(epochMs);
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return `${day}:${time} +0000`;
};

/** An id in API Gateway's format for requests, messages and connections, such as `Mc7UVioPPHcEKPA=`. */
export const shortId = (uuid: string): string => {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex').subarray(-11);
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
};
