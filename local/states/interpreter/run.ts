import type { Json, JsonObject } from '../json.ts';
import type { QueryScope } from '../query/scope.ts';
import type { StateFailure } from '../state-failure.ts';
import type { Execution, ExecutionStatus, Frame, InterpreterDeps } from './model.ts';
import type { Outcome } from './state-output.ts';

/** What the parts of the interpreter need of each other; the Interpreter is its implementation. */
export interface Run {
  readonly execution: Execution;
  readonly deps: InterpreterDeps;
  readonly open: boolean;
  /** @returns the event's id; `chain: false` for one that the next does not follow on from */
  event(frame: Frame, type: string, details?: JsonObject | null, chain?: boolean): number;
  /** Gives a frame its turn. */
  wake(frame: Frame): void;
  scope(frame: Frame): QueryScope;
  /** Does work of a frame's state; what it throws is the state's failure. */
  guarded(frame: Frame, work: () => Promise<void> | void): Promise<void>;
  /** Leaves a state whose work is done, whose wait is over or whose error is caught. */
  leave(frame: Frame, outcome: Outcome, next: Json | undefined): void;
  /** The result of a Task, Parallel or Map becomes its state's output. */
  finishWork(frame: Frame, result: Json): Promise<void>;
  /** Retry, Catch, or failure of the frame. */
  onFailure(frame: Frame, failure: StateFailure): Promise<void>;
  clearState(frame: Frame): void;
  abortChildren(frame: Frame): void;
  removeFrame(frame: Frame): void;
  /** Ends the execution; whatever still runs in it is cancelled. */
  close(status: ExecutionStatus): void;
  /** StopExecution, and the execution's own TimeoutSeconds. */
  stop(status: 'ABORTED' | 'TIMED_OUT', error: string | null, cause: string | null): void;
}
