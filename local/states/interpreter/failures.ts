import type { JsonObject } from '../json.ts';
import { runtimeFailure, StateFailure } from '../state-failure.ts';
import { onChildFailed } from './children.ts';
import { childExecutionOf, parentOf, stateOf, usesJsonata } from './frames.ts';
import type { Frame } from './model.ts';
import { findCatcher, findRetry, type Retry } from './recovery.ts';
import type { Run } from './run.ts';
import { caughtOutcome } from './state-output.ts';

/** Causes from the interpreter name their state, once: the innermost one. */
const withPrefix = (frame: Frame, failure: StateFailure): StateFailure => {
  if (!failure.prefixed) return failure;
  const where = `An error occurred while executing the state '${frame.state}' (entered at the event id #${frame.enteredEvent}).`;
  return new StateFailure(failure.error, `${where} ${failure.causeText}`, {
    location: failure.location,
    alias: failure.alias,
  });
};

const closeFailed = (run: Run, frame: Frame, failure: StateFailure): void => {
  const details: JsonObject = {};
  if (failure.error !== undefined) details.error = failure.error;
  if (failure.causeText !== undefined) details.cause = failure.causeText;
  run.event(frame, 'ExecutionFailed', details);
  run.execution.error = failure.error ?? null;
  run.execution.cause = failure.causeText ?? null;
  run.close('FAILED');
};

/** A failure that states cannot handle ends the execution, or the child execution of a distributed Map. */
const failFatally = async (run: Run, frame: Frame, failure: StateFailure): Promise<void> => {
  const child = childExecutionOf(run.execution, frame);
  const parent = child && parentOf(run.execution, child);
  if (child && parent) {
    run.abortChildren(child);
    await onChildFailed(run, parent, child, failure);
    return;
  }
  closeFailed(run, frame, failure);
};

const failFrame = async (run: Run, frame: Frame, failure: StateFailure): Promise<void> => {
  const parent = parentOf(run.execution, frame);
  if (!parent) {
    closeFailed(run, frame, failure);
    return;
  }
  if (stateOf(run.execution, frame).Type === 'Task') run.event(frame, 'TaskStateAborted', null, false);
  await onChildFailed(run, parent, frame, failure);
};

const waitForRetry = (run: Run, frame: Frame, retry: Retry): void => {
  run.clearState(frame);
  const length = Math.max(frame.attempts.length, retry.retrier + 1);
  frame.attempts = Array.from({ length }, (_, i) => (frame.attempts[i] ?? 0) + (i === retry.retrier ? 1 : 0));
  frame.wakeAt = run.deps.now() + retry.delayMs;
  frame.phase = 'retry';
};

const catchFailure = async (
  run: Run,
  frame: Frame,
  failure: StateFailure,
  found: { catcher: JsonObject; index: number },
): Promise<void> => {
  const state = stateOf(run.execution, frame);
  const errorOutput: JsonObject = { Error: failure.error ?? '' };
  if (failure.causeText !== undefined) errorOutput.Cause = failure.causeText;
  const { catcher, index } = found;
  try {
    const jsonata = usesJsonata(run.execution, state);
    const outcome = await caughtOutcome(catcher, index, jsonata, errorOutput, run.scope(frame));
    run.leave(frame, outcome, catcher.Next);
  } catch (error) {
    const broken = error instanceof StateFailure ? error : runtimeFailure(String(error));
    await failFatally(run, frame, withPrefix(frame, broken));
  }
};

/** Handles a failed state: Retry, else Catch, else its parent fails. States.Runtime skips both. */
export const handleFailure = async (run: Run, frame: Frame, raw: StateFailure): Promise<void> => {
  const failure = withPrefix(frame, raw);
  run.execution.dirty.add(frame.id);
  if (failure.location !== undefined) {
    run.event(frame, 'EvaluationFailed', {
      error: failure.error ?? '',
      cause: failure.causeText ?? '',
      location: failure.location,
      state: frame.state,
    });
  }
  run.abortChildren(frame);
  if (failure.fatal) return failFatally(run, frame, failure);
  const state = stateOf(run.execution, frame);
  const retry = findRetry(state, failure, frame.attempts, run.deps.random);
  if (retry) return waitForRetry(run, frame, retry);
  if (state.Type === 'Map' || state.Type === 'Parallel') run.event(frame, `${state.Type}StateFailed`);
  const found = findCatcher(state, failure);
  return found ? catchFailure(run, frame, failure, found) : failFrame(run, frame, failure);
};
