import type { Json, JsonObject } from '../json.ts';
import type { QueryScope } from '../query/scope.ts';
import type { StateFailure } from '../state-failure.ts';
import type { Execution, ExecutionStatus, Frame, InterpreterDeps } from './model.ts';
import type { Outcome } from './state-output.ts';

/** The interface between the parts of the interpreter, implemented by Interpreter. */
export interface Run {
  readonly execution: Execution;
  readonly deps: InterpreterDeps;
  readonly open: boolean;
  /** @returns the event's id; `chain: false` if the next event must not refer to it */
  event(frame: Frame, type: string, details?: JsonObject | null, chain?: boolean): number;
  /** Schedules a frame. */
  wake(frame: Frame): void;
  scope(frame: Frame): QueryScope;
  /** Runs work of a frame's state. An error is the state's failure. */
  guarded(frame: Frame, work: () => Promise<void> | void): Promise<void>;
  /** Leaves a state after its work, its wait or a caught error. */
  leave(frame: Frame, outcome: Outcome, next: Json | undefined): void;
  /** The result of a Task, Parallel or Map becomes its state's output. */
  finishWork(frame: Frame, result: Json): Promise<void>;
  /** Retry, Catch, or failure of the frame. */
  onFailure(frame: Frame, failure: StateFailure): Promise<void>;
  clearState(frame: Frame): void;
  abortChildren(frame: Frame): void;
  removeFrame(frame: Frame): void;
  /** Ends the execution and cancels everything that still runs in it. */
  close(status: ExecutionStatus): void;
  /** StopExecution, and the execution's own TimeoutSeconds. */
  stop(status: 'ABORTED' | 'TIMED_OUT', error: string | null, cause: string | null): void;
}
