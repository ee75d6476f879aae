import { LIMITS } from '../../../core/contract/primitives.ts';
import { ValidationError } from '../../../core/domain/errors.ts';
import { BodyNotJsonError, BodyTooLargeError, UnsupportedMediaTypeError } from './errors.ts';
import type { HttpEvent } from './exchange.ts';
import { type Issue, pointerTo } from './issues.ts';

/** Deeper than anything in the contract, and far below the depth that overflows the stack. */
const MAX_DEPTH = 16;

const JSON_TYPE = /^application\/([a-z0-9.-]+\+)?json$/i;

/** @throws BodyTooLargeError, BodyNotJsonError (not UTF-8) */
export const readBody = ({ body = '', isBase64Encoded = false }: HttpEvent): string => {
  const limit = LIMITS.bodyBytes;
  const tooLarge = new BodyTooLargeError(`The body must be at most ${limit} bytes.`);
  if (!isBase64Encoded) {
    if (Buffer.byteLength(body) > limit) throw tooLarge;
    return body;
  }
  const bytes = Buffer.from(body, 'base64');
  if (bytes.length > limit) throw tooLarge;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BodyNotJsonError('The body is not UTF-8.', { cause });
  }
};

/**
 * Checks that no schema makes: depth, text that cannot be stored unchanged, and `__proto__`, which zod drops silently, so
 * that a variable of that name would be lost.
 */
const findIssue = (value: unknown, path: readonly PropertyKey[]): Issue | null => {
  const here = (detail: string): Issue => ({ pointer: pointerTo(...path), detail });
  if (typeof value === 'string') return value.isWellFormed() ? null : here('Is not well-formed Unicode.');
  if (typeof value !== 'object' || value === null) return null;
  if (path.length > MAX_DEPTH) return here('Is nested too deeply.');
  for (const [key, member] of Object.entries(value)) {
    if (!key.isWellFormed()) return here('Has a key that is not well-formed Unicode.');
    if (key === '__proto__')
      return { pointer: pointerTo(...path, key), detail: 'Must not be named "__proto__".' };
    const issue = findIssue(member, [...path, key]);
    if (issue !== null) return issue;
  }
  return null;
};

/**
 * The parsed JSON body; undefined without a body.
 * @throws UnsupportedMediaTypeError, BodyNotJsonError, ValidationError
 */
export const parseBody = (text: string, contentType: string | undefined): unknown => {
  if (text === '') return undefined;
  if (!JSON_TYPE.test(contentType?.split(';')[0]?.trim() ?? ''))
    throw new UnsupportedMediaTypeError('The content type must be application/json.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BodyNotJsonError('The body is not JSON.', { cause });
  }
  const issue = findIssue(value, ['body']);
  if (issue !== null) throw new ValidationError('The body is not valid.', { errors: [issue] });
  return value;
};
