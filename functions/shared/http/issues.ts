import type * as z from 'zod/mini';

/** An issue of a request and its location. */
export interface Issue {
  /** JSON Pointer (RFC 6901) into the request seen as `{path, query, headers, body}`. */
  readonly pointer: string;
  readonly detail: string;
}

const escapeToken = (token: PropertyKey): string => String(token).replace(/~/g, '~0').replace(/\//g, '~1');

export const pointerTo = (...path: readonly PropertyKey[]): string =>
  path.map((token) => `/${escapeToken(token)}`).join('');

/** Shortens a key from the request before it is returned in an error. */
const shown = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}…` : text);

type ZodIssue = z.core.$ZodIssue;

const bound = (issue: ZodIssue & { code: 'too_big' | 'too_small' }): string => {
  const limit = issue.code === 'too_big' ? issue.maximum : issue.minimum;
  const unit = { string: ' characters', array: ' entries' }[issue.origin as string] ?? '';
  return `Must be ${issue.code === 'too_big' ? 'at most' : 'at least'} ${limit}${unit}.`;
};

const describe = (issue: ZodIssue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'Is required.' : `Must be of type ${issue.expected}.`;
    case 'invalid_value':
      return `Must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}.`;
    case 'too_big':
    case 'too_small':
      return bound(issue);
    case 'invalid_format':
      return issue.message === 'Invalid input' ? 'Does not match the required format.' : issue.message;
    default:
      return issue.message === 'Invalid input' ? 'Is not valid.' : issue.message;
  }
};

/** zod's issues as pointers; each unknown field gets its own pointer. */
export const toIssues = (
  part: 'path' | 'query' | 'headers' | 'body',
  issues: readonly ZodIssue[],
): readonly Issue[] =>
  issues.flatMap((issue): readonly Issue[] => {
    const path = [part, ...issue.path.map((token) => (typeof token === 'string' ? shown(token) : token))];
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        pointer: pointerTo(...path, shown(key)),
        detail: 'Is not a known field.',
      }));
    if (issue.code === 'invalid_key')
      return [{ pointer: pointerTo(...path), detail: 'Is not an allowed key.' }];
    return [{ pointer: pointerTo(...path), detail: describe(issue) }];
  });
