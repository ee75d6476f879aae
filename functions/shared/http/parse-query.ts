import { ValidationError } from '../../../core/domain/errors.ts';
import { pointerTo } from './issues.ts';

/** The only parameter that can be repeated. */
const REPEATABLE = 'label';

const decode = (text: string, name: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw new ValidationError('The query is not valid.', {
      cause,
      errors: [{ pointer: pointerTo('query', name), detail: 'Is not percent-encoded UTF-8.' }],
    });
  }
};

/**
 * Query parameters of the raw query string. API Gateway joins repeated values with commas, which are then
 * indistinguishable from commas in a value.
 *
 * @throws ValidationError for a repeated parameter, or one that cannot be decoded
 */
export const parseQuery = (rawQueryString: string): Record<string, string | string[]> => {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const part of rawQueryString.split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = decode(at < 0 ? part : part.slice(0, at), '');
    const value = decode(at < 0 ? '' : part.slice(at + 1), name.slice(0, 64));
    const earlier = query[name];
    if (name === REPEATABLE) query[name] = [...(Array.isArray(earlier) ? earlier : []), value];
    else if (earlier === undefined) query[name] = value;
    else
      throw new ValidationError('The query is not valid.', {
        errors: [{ pointer: pointerTo('query', name.slice(0, 64)), detail: 'Must not be repeated.' }],
      });
  }
  return { ...query };
};
