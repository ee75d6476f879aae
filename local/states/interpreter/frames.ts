import { isObject, type Json, type JsonObject } from '../json.ts';
import type { QueryScope } from '../query/scope.ts';
import type { Execution, Frame, InterpreterDeps } from './model.ts';

/** A broken invariant of the interpreter: loading should have refused the definition. */
export class InterpreterError extends Error {
  override readonly name = 'InterpreterError';
}

export const scopeOf = (execution: Execution, pointer: string): JsonObject => {
  let value: Json | undefined = execution.machine.definition.root;
  for (const step of pointer.split('\n').slice(1)) {
    value = Array.isArray(value) ? value[Number(step)] : isObject(value) ? value[step] : undefined;
  }
  if (!isObject(value)) throw new InterpreterError(`No states at ${pointer}`);
  return value;
};

/** State names can contain any character, so steps are separated by line feeds instead of slashes. */
export const childScope = (frame: Frame, ...steps: string[]): string => {
  return [frame.scope, 'States', frame.state, ...steps].join('\n');
};

export const stateOf = (execution: Execution, frame: Frame): JsonObject => {
  const { States: states } = scopeOf(execution, frame.scope);
  const state = isObject(states) ? states[frame.state] : undefined;
  if (!isObject(state)) throw new InterpreterError(`No state '${frame.state}'`);
  return state;
};

export const usesJsonata = (execution: Execution, state: JsonObject): boolean => {
  return (state.QueryLanguage ?? execution.machine.definition.language) === 'JSONata';
};

export const parentOf = (execution: Execution, frame: Frame): Frame | undefined => {
  return frame.parent === null ? undefined : execution.frames.get(frame.parent);
};

/** The root of the child execution of a distributed Map that a frame belongs to, if it does. */
export const childExecutionOf = (execution: Execution, frame: Frame): Frame | undefined => {
  let current: Frame | undefined = frame;
  while (current && current.ownEvents === null) current = parentOf(execution, current);
  return current;
};

export const newFrame = (
  execution: Execution,
  parent: Frame | undefined,
  scope: string,
  index: number,
  input: Json,
): Frame => {
  const startAt = scopeOf(execution, scope).StartAt;
  const frame: Frame = {
    id: execution.nextFrame++,
    parent: parent?.id ?? null,
    scope,
    index,
    state: String(startAt),
    input,
    variables: {},
    phase: 'enter',
    enteredEvent: 0,
    lastEvent: parent?.lastEvent ?? 0,
    enteredAt: 0,
    attempts: [],
    retryCount: 0,
    wakeAt: null,
    task: null,
    children: null,
    ownEvents: null,
    output: null,
    mapInput: null,
  };
  execution.frames.set(frame.id, frame);
  return frame;
};

export const childrenOf = (execution: Execution, frame: Frame): Frame[] => {
  return [...execution.frames.values()].filter((child) => child.parent === frame.id);
};

/** Scopes from the frame's own outwards, as far as variables are visible. */
const visibleFrames = (execution: Execution, frame: Frame): Frame[] => {
  const frames: Frame[] = [];
  for (let current: Frame | undefined = frame; current; current = parentOf(execution, current)) {
    frames.push(current);
    if (current.ownEvents !== null) break;
  }
  return frames;
};

const executionContext = (execution: Execution, frame: Frame): JsonObject => {
  const child = childExecutionOf(execution, frame);
  const map = child && parentOf(execution, child)?.children?.mapRunArn;
  const common = {
    StartTime: new Date(execution.startedAt).toISOString(),
    RoleArn: execution.machine.roleArn,
    RedriveCount: 0,
  };
  if (!child) {
    return {
      Id: execution.arn,
      Input: execution.inputValue,
      StartTime: common.StartTime,
      Name: execution.name,
      RoleArn: common.RoleArn,
      RedriveCount: common.RedriveCount,
    };
  }
  const name = `${execution.name}-${child.id}`;
  const label = map?.split(':mapRun:')[1]?.split(':')[0] ?? execution.machine.name;
  const prefix = execution.arn.split(':').slice(0, 6).join(':');
  return { Id: `${prefix}:${label}:${name}`, Name: name, ...common };
};

/** The context object, `$$` or `$states.context`. */
const contextOf = (execution: Execution, frame: Frame): JsonObject => {
  const state = stateOf(execution, frame);
  const context: JsonObject = {
    Execution: executionContext(execution, frame),
    StateMachine: { Id: execution.machine.arn, Name: execution.machine.name },
    State: { Name: frame.state, EnteredTime: new Date(frame.enteredAt).toISOString() },
  };
  if (state.Type === 'Task' || state.Type === 'Map' || state.Type === 'Parallel') {
    context.State = { ...(context.State as JsonObject), RetryCount: frame.retryCount };
  }
  if (frame.task) context.Task = { Token: frame.task.token };
  for (let at: Frame | undefined = frame; at; at = parentOf(execution, at)) {
    const map = parentOf(execution, at);
    if (map?.mapInput) {
      context.Map = { Item: { Index: at.index, Value: map.mapInput.items[at.index] ?? null } };
      break;
    }
  }
  return context;
};

/** @param item the Map item of the current ItemSelector */
export const queryScope = (
  execution: Execution,
  frame: Frame,
  deps: InterpreterDeps,
  item?: { index: number; value: Json },
): QueryScope => {
  const context = contextOf(execution, frame);
  if (item) context.Map = { Item: { Index: item.index, Value: item.value } };
  const frames = visibleFrames(execution, frame);
  return {
    input: frame.input,
    context,
    variable: (name) => frames.find((scope) => Object.hasOwn(scope.variables, name))?.variables[name],
    variables: () => Object.assign({}, ...frames.map((scope) => scope.variables).reverse()),
    random: deps.random,
    now: deps.now,
    quote: (data) =>
      isObject(data) && data === execution.inputValue ? execution.input : JSON.stringify(data),
  };
};
