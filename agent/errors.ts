import type { ProblemCode } from '../core/contract/problem.ts';

/** The agent's exit codes, as in `--help`. */
export const EXIT_CODES = {
  stopped: 0,
  unexpected: 1,
  usage: 2,
  enrollmentRefused: 3,
  stateUnusable: 4,
  runtimeUnusable: 5,
} as const;
type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The base of the agent's errors; reported with the codes of the API's problems. */
export abstract class AgentError extends Error {
  abstract readonly code: ProblemCode;
  /** One sentence on what to do, if anything. */
  readonly suggestion: string | undefined;

  constructor(message: string, { suggestion, cause }: { suggestion?: string; cause?: unknown } = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** A runtime failed or refused a step. `message` is for the container's owner. */
export class RuntimeError extends AgentError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options: { suggestion?: string; cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** The step exceeded its time limit, or a newer command superseded it. */
export class StepAbortedError extends AgentError {
  readonly code: 'deadline-exceeded' | 'operation-aborted';
  constructor(code: 'deadline-exceeded' | 'operation-aborted', message: string) {
    super(message);
    this.code = code;
  }
}

/** A command that cannot be executed. */
export class CommandRefusedError extends AgentError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options: { suggestion?: string } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** The journal cannot be read or written, so nothing can be executed. */
export class StateUnavailableError extends AgentError {
  readonly code = 'internal';
}

/** The agent cannot start. The message states what to do. */
export class StartupError extends AgentError {
  readonly code = 'validation-failed';
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
