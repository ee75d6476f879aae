import type { ProblemCode } from '../core/contract/problem.ts';

/** The agent's exit codes, as `--help` lists them. */
export const EXIT_CODES = {
  stopped: 0,
  unexpected: 1,
  usage: 2,
  enrollmentRefused: 3,
  stateUnusable: 4,
  runtimeUnusable: 5,
} as const;
type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** Everything that the agent itself says went wrong; reported with the same codes as the API's problems. */
export abstract class AgentError extends Error {
  abstract readonly code: ProblemCode;
  /** One sentence that says what to do, where there is something to do. */
  readonly suggestion: string | undefined;

  constructor(message: string, { suggestion, cause }: { suggestion?: string; cause?: unknown } = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** A runtime could not do a step, or refused it: `message` is for the container's owner to read. */
export class RuntimeError extends AgentError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options: { suggestion?: string; cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** The step took longer than it may, or a newer command for the container made it pointless. */
export class StepAbortedError extends AgentError {
  readonly code: 'deadline-exceeded' | 'operation-aborted';
  constructor(code: 'deadline-exceeded' | 'operation-aborted', message: string) {
    super(message);
    this.code = code;
  }
}

/** A command that cannot be carried out as it stands. */
export class CommandRefusedError extends AgentError {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options: { suggestion?: string } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** The journal cannot be read or written, so nothing may be acted on. */
export class StateUnavailableError extends AgentError {
  readonly code = 'internal';
}

/** Why the agent cannot start; the message is one sentence that says what to do. */
export class StartupError extends AgentError {
  readonly code = 'validation-failed';
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
