import type { LoadedDefinition } from '../definition/load-definition.ts';
import type { TaskResource } from '../definition/task-resource.ts';
import type { Json, JsonObject } from '../json.ts';

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

/**
 * Where a frame stands in its state.
 * - enter, run, join: has work to do now;
 * - task, wait, retry: waits for an answer or a moment;
 * - children: waits for its branches or iterations;
 * - finished: a branch or iteration that has ended and whose output its parent will collect.
 */
export type Phase = 'enter' | 'run' | 'join' | 'task' | 'wait' | 'retry' | 'children' | 'finished';

/** A Task's invocation, begun or about to be. */
export interface TaskWait {
  /** Identifies this attempt; it is also the task token. */
  token: string;
  resource: TaskResource;
  resourceText: string;
  args: Json;
  timeoutAt: number | null;
  heartbeatMs: number | null;
  heartbeatAt: number | null;
  /** The request has been made, and what remains is a callback or a child execution's end. */
  submitted: boolean;
  childArn: string | null;
}

/** The run of a Map or Parallel state over its iterations or branches. */
export interface ChildrenRun {
  size: number;
  /** 0 is no limit. */
  maxConcurrency: number;
  started: number;
  finished: number;
  failed: number;
  toleratedCount: number;
  toleratedPercentage: number;
  distributed: boolean;
  mapRunArn: string | null;
}

/** What a Map works on; written once, as it may be long. */
export interface MapInput {
  items: Json[];
  effective: Json;
}

/** One line of control: the execution's own, a branch's, or an iteration's. */
export interface Frame {
  id: number;
  parent: number | null;
  /** JSON pointer to the object with the States that this frame runs. */
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
  /** The child execution of a distributed Map: its events stay out of the history and are only counted. */
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

/** Something that a step wants done once it is durable. */
export type Effect =
  | { kind: 'invoke'; frame: number; task: TaskWait }
  | { kind: 'cancel'; token: string }
  | { kind: 'closed' };

export interface Execution {
  arn: string;
  name: string;
  machine: Machine;
  /** The input as it was given, JSON text. */
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
  /** The task token of the sync task that started it, if one did. */
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
