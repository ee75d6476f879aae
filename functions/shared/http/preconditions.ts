import { RevisionMismatchError, ValidationError } from '../../../core/domain/errors.ts';
import { pointerTo } from './issues.ts';

const ETAG = /^"(0|[1-9][0-9]{0,15})"$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The entity tag of a revision. */
export const etag = (revision: number): string => `"${revision}"`;

const refuse = (header: string, detail: string): never => {
  throw new ValidationError('A header is not valid.', {
    errors: [{ pointer: pointerTo('headers', header), detail }],
  });
};

/**
 * `If-Match` as a revision, `*`, or null without the header.
 * @param taken whether the route has an ETag; on other routes the header is refused
 */
export const parseIfMatch = (value: string | undefined, taken: boolean): number | '*' | null => {
  if (value === undefined) return null;
  if (!taken) return refuse('if-match', 'This route has no ETag.');
  if (value.trim() === '*') return '*';
  const revision = ETAG.exec(value.trim())?.[1];
  if (revision === undefined)
    return refuse('if-match', 'Must be one strong ETag from an earlier response, or "*".');
  return Number(revision);
};

export const parseIdempotencyKey = (value: string | undefined): string | null => {
  if (value === undefined) return null;
  return IDEMPOTENCY_KEY.test(value)
    ? value
    : refuse('idempotency-key', 'Must be 1 to 255 visible ASCII characters.');
};

/** @throws RevisionMismatchError if the resource has another revision */
export const checkRevision = (ifMatch: number | '*' | null, revision: number): void => {
  if (ifMatch === null || ifMatch === '*' || ifMatch === revision) return;
  throw new RevisionMismatchError(`The resource is at revision ${revision}.`, {
    suggestion: 'Read the resource again, then repeat the change if it still applies.',
    context: { revision },
  });
};
