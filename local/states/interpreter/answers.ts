import type { Json } from '../json.ts';
import { StateFailure } from '../state-failure.ts';
import { stateOf, usesJsonata } from './frames.ts';
import type { Execution, Frame } from './model.ts';
import type { Run } from './run.ts';
import { passingOutcome } from './state-output.ts';
import { taskEvents } from './task-start.ts';

/** AWS's quota on a state's data. */
const MAX_BYTES = 262_144;

export type TaskAnswer =
  | { kind: 'result'; result: Json }
  | { kind: 'error'; error: string | undefined; cause: string | undefined }
  /** The request was accepted; a callback or the end of a child execution follows. */
  | { kind: 'submitted'; output: Json; childArn: string | null };

/** The frame that waits with a token, if it still waits. */
export const waitingFrame = (execution: Execution, frameId: number, token: string): Frame | undefined => {
  const frame = execution.frames.get(frameId);
  return frame?.phase === 'task' && frame.task?.token === token ? frame : undefined;
};

const onResult = async (run: Run, frame: Frame, result: Json): Promise<void> => {
  const { task } = frame;
  if (!task) return;
  const { prefix, details } = taskEvents(task);
  const output = JSON.stringify(result);
  if (Buffer.byteLength(output) > MAX_BYTES) {
    const name = prefix === 'Task' ? String(details.resourceType) : task.resourceText;
    const cause = `The state/task '${name}' returned a result with a size exceeding the maximum number of bytes service limit.`;
    return onError(run, frame, 'States.DataLimitExceeded', cause);
  }
  run.event(frame, `${prefix}Succeeded`, { ...details, output, outputDetails: { truncated: false } });
  await run.guarded(frame, () => run.finishWork(frame, result));
};

const onError = async (
  run: Run,
  frame: Frame,
  error: string | undefined,
  cause: string | undefined,
): Promise<void> => {
  if (!frame.task) return;
  const { prefix, details } = taskEvents(frame.task);
  const failed = {
    ...details,
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
  };
  run.event(frame, `${prefix}Failed`, failed);
  await run.onFailure(frame, new StateFailure(error, cause));
};

/** Applies an answer to a task. A late or duplicate answer has no effect. */
export const answerTask = async (
  run: Run,
  frameId: number,
  token: string,
  answer: TaskAnswer,
): Promise<boolean> => {
  const frame = waitingFrame(run.execution, frameId, token);
  if (!run.open || !frame?.task) return false;
  run.execution.dirty.add(frame.id);
  if (answer.kind === 'result') await onResult(run, frame, answer.result);
  else if (answer.kind === 'error') await onError(run, frame, answer.error, answer.cause);
  else if (!frame.task.submitted) {
    const { details } = taskEvents(frame.task);
    const output = JSON.stringify(answer.output);
    run.event(frame, 'TaskSubmitted', { ...details, output, outputDetails: { truncated: false } });
    frame.task.submitted = true;
    frame.task.childArn = answer.childArn;
  }
  return true;
};

export const heartbeat = (run: Run, frameId: number, token: string): boolean => {
  const frame = waitingFrame(run.execution, frameId, token);
  if (!run.open || !frame?.task) return false;
  if (frame.task.heartbeatMs !== null) frame.task.heartbeatAt = run.deps.now() + frame.task.heartbeatMs;
  run.execution.dirty.add(frame.id);
  return true;
};

const timeOut = async (run: Run, frame: Frame, alias: string | undefined): Promise<void> => {
  const { task } = frame;
  if (!task) return;
  const { prefix, details } = taskEvents(task);
  run.execution.effects.push({ kind: 'cancel', token: task.token });
  run.event(frame, `${prefix}TimedOut`, { ...details, error: 'States.Timeout' });
  await run.onFailure(frame, new StateFailure('States.Timeout', undefined, { alias }));
};

const endWait = async (run: Run, frame: Frame): Promise<void> => {
  await run.guarded(frame, async () => {
    const state = stateOf(run.execution, frame);
    const jsonata = usesJsonata(run.execution, state);
    run.leave(frame, await passingOutcome(state, jsonata, run.scope(frame)), state.Next);
  });
};

const beginRetry = (run: Run, frame: Frame): void => {
  frame.wakeAt = null;
  frame.phase = 'run';
  frame.retryCount++;
  run.execution.transitions++;
  run.wake(frame);
};

const due = (at: number | null | undefined, now: number): boolean => {
  return at !== null && at !== undefined && at <= now;
};

const onFrameDue = async (run: Run, frame: Frame, now: number): Promise<void> => {
  if (frame.phase === 'wait' && due(frame.wakeAt, now)) await endWait(run, frame);
  else if (frame.phase === 'retry' && due(frame.wakeAt, now)) beginRetry(run, frame);
  else if (frame.phase === 'task' && due(frame.task?.timeoutAt, now)) await timeOut(run, frame, undefined);
  else if (frame.phase === 'task' && due(frame.task?.heartbeatAt, now)) {
    await timeOut(run, frame, 'States.HeartbeatTimeout');
  }
};

/** Handles what is due: waits and retries end, tasks and the execution time out. */
export const onTime = async (run: Run): Promise<void> => {
  const now = run.deps.now();
  if (run.open && due(run.execution.timeoutAt, now)) run.stop('TIMED_OUT', 'States.Timeout', null);
  for (const frame of [...run.execution.frames.values()]) {
    if (!run.open) return;
    if (run.execution.frames.get(frame.id) !== frame) continue;
    await onFrameDue(run, frame, now);
  }
};

/** The next time at which onTime must run, in epoch milliseconds. */
export const nextDeadline = (execution: Execution): number | undefined => {
  let earliest = execution.timeoutAt ?? Number.POSITIVE_INFINITY;
  for (const frame of execution.frames.values()) {
    const { wakeAt, task } = frame;
    const timeoutAt = task?.timeoutAt ?? Number.POSITIVE_INFINITY;
    const heartbeatAt = task?.heartbeatAt ?? Number.POSITIVE_INFINITY;
    earliest = Math.min(earliest, wakeAt ?? Number.POSITIVE_INFINITY, timeoutAt, heartbeatAt);
  }
  return Number.isFinite(earliest) ? earliest : undefined;
};
