import {
  AnswerError,
  ConnectionError,
  OperationFailedError,
  ProblemError,
  ThrottledError,
} from '../core/client/index.ts';
import type { ProblemCode } from '../core/contract/problem.ts';
import { ExitError, InterruptedError, SettingsError, UsageError } from './errors.ts';

/** Exit codes for programs. Stable. */
export const EXIT = {
  success: 0,
  /** Any other error. */
  failed: 1,
  usage: 2,
  notFound: 3,
  /** The token is missing, is invalid or lacks the scope. */
  notAllowed: 4,
  /** A conflict with the current state: 409, 412. */
  conflict: 5,
  /** The API does not respond or is too busy. */
  unavailable: 6,
  /** The operation was accepted but did not succeed. */
  operationFailed: 7,
  interrupted: 130,
  /** As in shells and in docker. */
  programNotExecutable: 126,
  programNotFound: 127,
} as const;

const BY_CODE: Partial<Record<ProblemCode, number>> = {
  'program-not-executable': EXIT.programNotExecutable,
  'program-not-found': EXIT.programNotFound,
};

const BY_STATUS: Readonly<Record<number, number>> = {
  400: EXIT.usage,
  401: EXIT.notAllowed,
  403: EXIT.notAllowed,
  404: EXIT.notFound,
  409: EXIT.conflict,
  412: EXIT.conflict,
  429: EXIT.unavailable,
  503: EXIT.unavailable,
  504: EXIT.unavailable,
};

export const exitCodeOf = (error: unknown): number => {
  if (error instanceof ExitError) return error.exitCode;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof SettingsError) return EXIT.notAllowed;
  if (error instanceof InterruptedError) return EXIT.interrupted;
  if (error instanceof OperationFailedError) return EXIT.operationFailed;
  if (error instanceof ConnectionError || error instanceof ThrottledError) return EXIT.unavailable;
  if (error instanceof ProblemError)
    return BY_CODE[error.problem.code] ?? BY_STATUS[error.problem.status] ?? EXIT.failed;
  return error instanceof AnswerError ? (BY_STATUS[error.status] ?? EXIT.failed) : EXIT.failed;
};

/** For `bulkhead --help`. */
export const EXIT_CODES_HELP = `Exit codes:
  0  success                       4  not allowed: no token, or no scope
  1  failed                        5  conflict with the current state
  2  invalid request               6  no response, or too busy
  3  not found                     7  the operation failed
  "container exec" and "container enter" exit with the exit code of the command, 127 if the
  container does not have it, 126 if it cannot be executed, or 125 if it ended without a code.`;
