import type { LoadedDefinition } from '../definition/load-definition.ts';
import type { TaskResource } from '../definition/task-resource.ts';
import type { Json, JsonObject } from '../json.ts';

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

/**
 * The phase of a frame in its state.
 * - enter, run, join: has work to do;
 * - task, wait, retry: waits for an answer or a point in time;
 * - children: waits for its branches or iterations;
 * - finished: an ended branch or iteration whose output its parent will collect.
 */
export type Phase = 'enter' | 'run' | 'join' | 'task' | 'wait' | 'retry' | 'children' | 'finished';

/** A Task's invocation, started or about to start. */
export interface TaskWait {
  /** Id of this attempt, which is also the task token. */
  token: string;
  resource: TaskResource;
  resourceText: string;
  args: Json;
  timeoutAt: number | null;
  heartbeatMs: number | null;
  heartbeatAt: number | null;
  /** The request was sent; a callback or the end of a child execution is pending. */
  submitted: boolean;
  childArn: string | null;
}

/** A running Map or Parallel state. */
export interface ChildrenRun {
  size: number;
  /** 0: no limit. */
  maxConcurrency: number;
  started: number;
  finished: number;
  failed: number;
  toleratedCount: number;
  toleratedPercentage: number;
  distributed: boolean;
  mapRunArn: string | null;
}

/** The items of a Map; written once, because they can be long. */
export interface MapInput {
  items: Json[];
  effective: Json;
}

/** One thread of control: the execution's, a branch's, or an iteration's. */
export interface Frame {
  id: number;
  parent: number | null;
  /** JSON pointer to the object with this frame's States. */
  scope: string;
  /** Which branch or iteration of the parent. */
  index: number;
  state: string;
  input: Json;
  variables: JsonObject;
  phase: Phase;
  enteredEvent: number;
  lastEvent: number;
  enteredAt: number;
  /** How often each retrier of the state has been used. */
  attempts: number[];
  retryCount: number;
  wakeAt: number | null;
  task: TaskWait | null;
  children: ChildrenRun | null;
  /** The child execution of a distributed Map: its events are counted but not part of the history. */
  ownEvents: number | null;
  output: Json;
  mapInput: MapInput | null;
}

export interface HistoryEvent {
  id: number;
  previousEventId: number;
  timestamp: number;
  type: string;
  details: JsonObject | null;
}

export interface Machine {
  arn: string;
  name: string;
  roleArn: string;
  definition: LoadedDefinition;
}

/** An action of a step, to be performed once the step is durable. */
export type Effect =
  | { kind: 'invoke'; frame: number; task: TaskWait }
  | { kind: 'cancel'; token: string }
  | { kind: 'closed' };

export interface Execution {
  arn: string;
  name: string;
  machine: Machine;
  /** The original input, JSON text. */
  input: string;
  inputValue: Json;
  status: ExecutionStatus;
  startedAt: number;
  stoppedAt: number | null;
  timeoutAt: number | null;
  output: string | null;
  error: string | null;
  cause: string | null;
  eventCount: number;
  nextFrame: number;
  /** State entries and retries, as AWS bills them. */
  transitions: number;
  /** The task token of the sync task that started it, if any. */
  startedBy: string | null;

  frames: Map<number, Frame>;
  /** Frames with work to do, in order. */
  ready: Frame[];
  /** Since the last commit. */
  dirty: Set<number>;
  events: HistoryEvent[];
  effects: Effect[];
}

export interface InterpreterDeps {
  now(): number;
  random: { number(): number; uuid(): string };
  region: string;
  accountId: string;
}
