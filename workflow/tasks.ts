/** `settled`: the step was answered before, or its execution has ended. The answer had no effect. */
export type TaskAnswer = 'delivered' | 'settled';

/** Answers workflow steps that wait for a task token. */
export interface Tasks {
  succeed(token: string, output: Readonly<Record<string, unknown>>): Promise<TaskAnswer>;
  /** @param cause a problem in JSON */
  fail(token: string, error: string, cause: string): Promise<TaskAnswer>;
  heartbeat(token: string): Promise<TaskAnswer>;
}
