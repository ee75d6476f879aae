import type { Problem, ProblemCode } from '../contract/problem.ts';
import { BulkheadError, type ErrorDetails, OtherTableFormatError } from './errors.ts';

/** HTTP status and title of each code. */
const PROBLEMS: Readonly<Record<ProblemCode, { readonly status: number; readonly title: string }>> = {
  'validation-failed': { status: 400, title: 'The request is not valid' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'body-not-json': { status: 400, title: 'The body is not JSON' },
  'unsupported-media-type': { status: 415, title: 'The body must be JSON' },
  'cursor-invalid': { status: 400, title: 'The cursor is not valid' },
  unauthorized: { status: 401, title: 'The token is not accepted' },
  'missing-scope': { status: 403, title: 'The token lacks a scope' },
  'not-found': { status: 404, title: 'The resource does not exist' },
  'name-taken': { status: 409, title: 'The name is already in use' },
  'operation-in-progress': { status: 409, title: 'Another operation is in progress' },
  'invalid-state': { status: 409, title: 'The current state does not allow the request' },
  'revision-mismatch': { status: 412, title: 'The resource has changed' },
  'idempotency-key-reused': { status: 409, title: 'The idempotency key was used for another request' },
  'image-not-found': { status: 409, title: 'The image is not in the catalogue' },
  'image-in-use': { status: 409, title: 'The image is in use' },
  'image-incompatible': { status: 409, title: 'The image cannot run on the host' },
  'host-in-use': { status: 409, title: 'The host has containers' },
  'host-not-found': { status: 409, title: 'The host is not enrolled' },
  'host-not-answering': { status: 504, title: 'The host does not answer' },
  'host-lost': { status: 409, title: 'The host is lost' },
  'no-host-fits': { status: 409, title: 'No host has free capacity' },
  'switch-not-found': { status: 409, title: 'The switch does not exist' },
  'runtime-type-unsupported': { status: 409, title: 'The host does not support the runtime type' },
  'runtime-conversion-unsupported': { status: 409, title: 'The host does not support runtime conversion' },
  'untrusted-disk': { status: 409, title: 'Untrusted code may have written the disk' },
  'enrollment-token-invalid': { status: 403, title: 'The enrollment token is not accepted' },
  'operation-already-ended': { status: 409, title: 'The operation has ended' },
  'operation-cancelled': { status: 409, title: 'The operation was cancelled' },
  'operation-aborted': { status: 500, title: 'The operation was aborted' },
  'deadline-exceeded': { status: 504, title: 'The deadline has passed' },
  'command-not-authentic': { status: 502, title: 'The host refused the command' },
  'step-failed': { status: 500, title: 'A step failed' },
  'process-exited': { status: 500, title: 'The main process ended' },
  'no-command': { status: 422, title: 'The container has no command' },
  'program-not-found': { status: 422, title: 'The program does not exist in the container' },
  'program-not-executable': { status: 422, title: 'The program cannot be executed' },
  // Not 501: a caller that retries every 5xx would never stop.
  'not-supported-yet': { status: 422, title: 'This version does not support the request' },
  'session-token-invalid': { status: 401, title: 'The session token is not accepted' },
  'session-token-mismatch': { status: 403, title: 'The token belongs to another session' },
  'session-token-used': { status: 409, title: 'The session token has been used' },
  'session-token-expired': { status: 410, title: 'The session token has expired' },
  'session-ended': { status: 404, title: 'The session has ended' },
  'quota-exceeded': { status: 429, title: 'The quota is exhausted' },
  'rules-exhausted': { status: 409, title: 'The limit of rules is reached' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'too-busy': { status: 503, title: 'The control plane is too busy' },
  internal: { status: 500, title: 'Internal error' },
};

/** Identifies a kind of problem; not a URL to fetch. */
const problemType = (code: ProblemCode): string => `urn:bulkhead:problem:${code}`;

/**
 * A problem document.
 * @param details `cause` is not included
 */
export const createProblem = (
  code: ProblemCode,
  detail: string,
  { suggestion, errors, context }: ErrorDetails = {},
  requestId?: string,
): Problem => ({
  type: problemType(code),
  title: PROBLEMS[code].title,
  status: PROBLEMS[code].status,
  code,
  detail,
  ...(requestId !== undefined && { requestId }),
  ...(suggestion !== undefined && { suggestion }),
  ...(errors !== undefined && { errors: [...errors] }),
  ...(context !== undefined && { context: { ...context } }),
});

/** The problem for a caller. Only a Bulkhead error has details: other errors could contain internal data. */
export const toProblem = (error: unknown, requestId?: string): Problem => {
  if (error instanceof BulkheadError && (error.code !== 'internal' || error instanceof OtherTableFormatError))
    return createProblem(error.code, error.message, error.details, requestId);
  return createProblem(
    'internal',
    'The request failed because of an internal error.',
    { suggestion: 'Try again. If it fails again, search the logs for the request id.' },
    requestId,
  );
};
