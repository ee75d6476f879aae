import type { Operation } from '../contract/operation.ts';
import type { Problem } from '../contract/problem.ts';

/** The base of all errors of API calls. */
export abstract class ClientError extends Error {
  abstract readonly code: string;
  /** What the caller can do, if anything. */
  readonly suggestion: string | undefined;

  constructor(message: string, { cause, suggestion }: { cause?: unknown; suggestion?: string } = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** The API returned a problem document. */
export class ProblemError extends ClientError {
  readonly code: string;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail, { suggestion: problem.suggestion });
    this.code = problem.code;
    this.problem = problem;
  }

  get requestId(): string | undefined {
    return this.problem.requestId;
  }
}

/** The API did not respond to any attempt. */
export class ConnectionError extends ClientError {
  readonly code = 'connection-failed';
}

/** The API's gateway rejected every attempt. */
export class ThrottledError extends ClientError {
  readonly code = 'too-many-requests';
  constructor() {
    super('The control plane receives too many requests.', {
      suggestion: 'Wait a minute, then try again with fewer parallel requests.',
    });
  }
}

/** The response violates the contract: it is from another program, or from another version. */
export class AnswerError extends ClientError {
  readonly code = 'answer-not-understood';
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(message: string, status: number, requestId?: string, options?: { cause?: unknown }) {
    super(message, {
      ...options,
      suggestion:
        status === 401
          ? 'The token is not valid or has expired. Use another token.'
          : 'Check the URL of the API. If it is correct, update this client to the version of the control plane.',
    });
    this.status = status;
    this.requestId = requestId;
  }
}

/** An operation failed or was cancelled. */
export class OperationFailedError extends ClientError {
  readonly code: string;
  readonly operation: Operation;

  constructor(operation: Operation) {
    const { error, state, kind, id } = operation;
    super(error?.detail ?? `Operation ${id} (${kind}) ended in state ${state}.`, {
      suggestion: error?.suggestion,
    });
    this.code = error?.code ?? 'operation-cancelled';
    this.operation = operation;
  }
}
