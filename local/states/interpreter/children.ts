import type { Json, JsonObject } from '../json.ts';
import { evaluateTemplate } from '../query/jsonata.ts';
import { applyPath, applyTemplate } from '../query/payload-template.ts';
import { StateFailure } from '../state-failure.ts';
import { childrenOf, childScope, newFrame, queryScope, stateOf, usesJsonata } from './frames.ts';
import { iterationInput, mapInput, mapProcessor, maxConcurrency, tolerance } from './map-start.ts';
import type { ChildrenRun, Frame } from './model.ts';
import type { Run } from './run.ts';

/** AWS's concurrency limits without MaxConcurrency. */
const INLINE_CONCURRENCY = 40;
const DISTRIBUTED_CONCURRENCY = 10_000;

const NO_TOLERANCE = { toleratedCount: 0, toleratedPercentage: 0 };
const NOT_STARTED = { started: 0, finished: 0, failed: 0 };

/** The branches of a Parallel state start together. */
export const startParallel = async (
  run: Run,
  frame: Frame,
  state: JsonObject,
  jsonata: boolean,
): Promise<void> => {
  const scope = run.scope(frame);
  const branches = Array.isArray(state.Branches) ? state.Branches : [];
  const input = await parallelInput(state, jsonata, frame, scope);
  run.event(frame, 'ParallelStateStarted');
  frame.children = {
    ...NOT_STARTED,
    ...NO_TOLERANCE,
    size: branches.length,
    maxConcurrency: 0,
    started: branches.length,
    distributed: false,
    mapRunArn: null,
  };
  frame.phase = 'children';
  for (const index of branches.keys()) {
    run.wake(newFrame(run.execution, frame, childScope(frame, 'Branches', String(index)), index, input));
  }
};

const parallelInput = async (
  state: JsonObject,
  jsonata: boolean,
  frame: Frame,
  scope: ReturnType<typeof queryScope>,
): Promise<Json> => {
  if (jsonata) {
    return state.Arguments === undefined
      ? frame.input
      : evaluateTemplate(state.Arguments, 'Arguments', scope);
  }
  const effective = applyPath(state.InputPath, frame.input, scope);
  return state.Parameters === undefined ? effective : applyTemplate(state.Parameters, effective, scope);
};

export const startMap = async (
  run: Run,
  frame: Frame,
  state: JsonObject,
  jsonata: boolean,
): Promise<void> => {
  const scope = run.scope(frame);
  const concurrency = await maxConcurrency(state, jsonata, scope);
  const input = await mapInput(state, jsonata, scope);
  const { distributed } = mapProcessor(state);
  run.event(frame, 'MapStateStarted', { length: input.items.length });
  const tolerated = await tolerance(state, jsonata, scope, input.effective);
  let mapRunArn: string | null = null;
  if (distributed) {
    const { region, accountId, random } = run.deps;
    const name = `${run.execution.machine.name}/${state.Label ?? frame.state}`;
    mapRunArn = `arn:aws:states:${region}:${accountId}:mapRun:${name}:${random.uuid()}`;
    run.event(frame, 'MapRunStarted', { mapRunArn });
  }
  frame.mapInput = input;
  frame.children = {
    ...NOT_STARTED,
    size: input.items.length,
    maxConcurrency:
      concurrency === 0 ? (distributed ? DISTRIBUTED_CONCURRENCY : INLINE_CONCURRENCY) : concurrency,
    toleratedCount: tolerated.count ?? (tolerated.percentage === undefined ? 0 : Number.MAX_SAFE_INTEGER),
    toleratedPercentage: tolerated.percentage ?? (tolerated.count === undefined ? 0 : 100),
    distributed,
    mapRunArn,
  };
  frame.phase = 'children';
  run.wake(frame);
};

const startIteration = async (run: Run, frame: Frame, children: ChildrenRun): Promise<void> => {
  const { mapInput: input } = frame;
  const state = stateOf(run.execution, frame);
  const index = children.started;
  const item = input?.items[index] ?? null;
  const scope = queryScope(run.execution, frame, run.deps, { index, value: item });
  const jsonata = usesJsonata(run.execution, state);
  if (!children.distributed) run.event(frame, 'MapIterationStarted', { name: frame.state, index }, false);
  const startedEvent = run.execution.eventCount;
  const childInput = await iterationInput(state, jsonata, item, input?.effective ?? null, scope);
  const child = newFrame(
    run.execution,
    frame,
    childScope(frame, mapProcessor(state).field),
    index,
    childInput,
  );
  children.started++;
  if (children.distributed) {
    child.ownEvents = 1;
    child.lastEvent = 0;
  } else {
    child.lastEvent = startedEvent;
  }
  run.wake(child);
};

/** Starts iterations up to the concurrency limit; ends the state when none is left. */
export const stepChildren = async (run: Run, frame: Frame): Promise<void> => {
  const { children } = frame;
  if (!children) return;
  while (
    children.started < children.size &&
    children.started - children.finished - children.failed < children.maxConcurrency
  ) {
    await startIteration(run, frame, children);
  }
  if (children.finished + children.failed < children.size) return;
  frame.phase = 'join';
  if (children.distributed) run.event(frame, 'MapRunSucceeded');
  run.event(frame, `${stateOf(run.execution, frame).Type}StateSucceeded`, null, false);
  run.wake(frame);
};

export const onChildFinished = (run: Run, frame: Frame, child: Frame): void => {
  const { children } = frame;
  if (!children) return;
  children.finished++;
  run.execution.dirty.add(child.id);
  if (!children.distributed) {
    frame.lastEvent = child.lastEvent;
    if (frame.mapInput) {
      const last = children.finished === children.size;
      const id = run.event(frame, 'MapIterationSucceeded', { name: frame.state, index: child.index }, false);
      if (last) frame.lastEvent = id;
    }
  }
  run.wake(frame);
};

const exceedsTolerance = (children: ChildrenRun): boolean => {
  return (
    children.failed > children.toleratedCount ||
    (children.failed / children.size) * 100 > children.toleratedPercentage
  );
};

export const onChildFailed = async (
  run: Run,
  frame: Frame,
  child: Frame,
  failure: StateFailure,
): Promise<void> => {
  const { children } = frame;
  if (!children) return;
  if (children.distributed) return onChildExecutionFailed(run, frame, children, child, failure);
  frame.lastEvent = child.lastEvent;
  if (frame.mapInput) run.event(frame, 'MapIterationFailed', { name: frame.state, index: child.index });
  run.removeFrame(child);
  run.abortChildren(frame);
  await run.onFailure(frame, new StateFailure(failure.error, failure.causeText, { alias: failure.alias }));
};

const onChildExecutionFailed = async (
  run: Run,
  frame: Frame,
  children: ChildrenRun,
  child: Frame,
  failure: StateFailure,
): Promise<void> => {
  children.failed++;
  if (exceedsTolerance(children)) {
    const error = 'States.ExceedToleratedFailureThreshold';
    const cause = 'The specified tolerated failure threshold was exceeded';
    run.abortChildren(frame);
    run.event(frame, 'MapRunFailed', { error, cause });
    return run.onFailure(frame, new StateFailure(error, cause));
  }
  const output: JsonObject = { Status: 'FAILED' };
  if (failure.error !== undefined) output.Error = failure.error;
  if (failure.causeText !== undefined) output.Cause = failure.causeText;
  run.abortChildren(child);
  run.clearState(child);
  child.phase = 'finished';
  child.output = output;
  run.wake(frame);
};

/** The outputs of a Parallel's branches or a Map's iterations, in order. Their frames are removed. */
export const collectChildren = (run: Run, frame: Frame): Json => {
  const finished = childrenOf(run.execution, frame).sort((a, b) => a.index - b.index);
  for (const child of finished) run.removeFrame(child);
  return finished.map((child) => child.output);
};
