/** `settled`: somebody else was faster, or the execution has ended. Nobody waits for this answer any more. */
export type TaskAnswer = 'told' | 'settled';

/** Answers to steps of a workflow that wait for a token. */
export interface Tasks {
  succeed(token: string, output: Readonly<Record<string, unknown>>): Promise<TaskAnswer>;
  /** @param cause a problem in JSON */
  fail(token: string, error: string, cause: string): Promise<TaskAnswer>;
  heartbeat(token: string): Promise<TaskAnswer>;
}
