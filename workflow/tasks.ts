import type { CommandRecord } from '../store/commands.ts';

/** `settled`: the step was answered before, or its execution has ended. The answer had no effect. */
export type TaskAnswer = 'delivered' | 'settled';

/** The failure of a step, as Step Functions names it. `cause` is a problem in JSON, or ''. */
export interface Failure {
  readonly error: string;
  readonly cause: string;
}

/** Starts the execution that undoes and settles a failed operation which no execution runs. A repetition has no effect. */
export type StartFailure = (command: CommandRecord, failure: Failure) => Promise<unknown>;

/** Answers workflow steps that wait for a task token. */
export interface Tasks {
  succeed(token: string, output: Readonly<Record<string, unknown>>): Promise<TaskAnswer>;
  /** @param cause a problem in JSON */
  fail(token: string, error: string, cause: string): Promise<TaskAnswer>;
  heartbeat(token: string): Promise<TaskAnswer>;
}
