import type { ProblemCode } from '../contract/problem.ts';

export interface ErrorDetails {
  /** One sentence on what to do, if anything. */
  readonly suggestion?: string;
  /** JSON Pointers into the request. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  /** Facts about the error for programs; never secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The base of Bulkhead's own errors. core/domain/problems.ts maps codes to HTTP statuses. */
export abstract class BulkheadError extends Error {
  abstract readonly code: ProblemCode;
  /** Whether the same call can succeed later without a change. */
  readonly retryable: boolean = false;
  readonly details: ErrorDetails;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.details = details;
  }
}

export class ValidationError extends BulkheadError {
  readonly code = 'validation-failed';
}

export class NotFoundError extends BulkheadError {
  readonly code = 'not-found';
}

/** The request conflicts with the current state. */
export class ConflictError extends BulkheadError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** `If-Match` has an outdated revision. */
export class RevisionMismatchError extends BulkheadError {
  readonly code = 'revision-mismatch';
}

export class UnauthorizedError extends BulkheadError {
  readonly code = 'unauthorized';
}

export class MissingScopeError extends BulkheadError {
  readonly code = 'missing-scope';
}

/** The tenant has used its share. The context contains the seconds until the next request is possible. */
export class TooManyRequestsError extends BulkheadError {
  readonly code = 'too-many-requests';
  override readonly retryable = true;
  constructor(message: string, seconds: number) {
    const retryAfterSeconds = Math.max(1, Math.ceil(seconds));
    super(message, {
      suggestion: `Wait ${retryAfterSeconds} s (header Retry-After), then repeat the request.`,
      context: { retryAfterSeconds },
    });
  }
}

/** The internal retries are exhausted. The caller can try again later. */
export class TooBusyError extends BulkheadError {
  readonly code = 'too-busy';
  override readonly retryable = true;
}

export class HostNotAnsweringError extends BulkheadError {
  readonly code = 'host-not-answering';
  override readonly retryable = true;
}

/** A step of a workflow failed. The container's owner sees the reason. */
export class StepFailedError extends BulkheadError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** A write would make a transition that is not in the record's state table: a defect of the control plane. */
export class InvalidTransitionError extends BulkheadError {
  readonly code = 'internal';
  constructor(subject: string, from: string, to: string) {
    super(`${subject} cannot go from ${from} to ${to}.`);
  }
}

/** The table contains an item in the format of another version. */
export class OtherTableFormatError extends BulkheadError {
  readonly code = 'internal';
  /** @param subject the item, by its key */
  constructor(subject: string) {
    super(`This table was written by another version of Bulkhead (${subject}).`, {
      suggestion: 'Deploy the version that wrote the table, or deploy this version with a new table.',
    });
  }
}
