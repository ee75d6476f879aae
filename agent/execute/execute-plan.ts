import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { messageOf, StepAbortedError } from '../errors.ts';
import { type Step, stepName } from '../plan/steps.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { execute, limitOf } from './executors.ts';
import type { StepRecorder } from './step-recorder.ts';

/** Time for an aborted step to end, in milliseconds. */
const GRACE_MS = 10_000;

/** A step failed; `cause` has the reason. */
export class StepFailure extends Error {
  readonly step: string;
  /** Settles when the step has actually ended; null if it has. The container must not be changed before. */
  readonly lasting: Promise<unknown> | null;
  constructor(step: string, cause: unknown, lasting: Promise<unknown> | null) {
    super(`${step}: ${messageOf(cause)}`, { cause });
    this.name = 'StepFailure';
    this.step = step;
    this.lasting = lasting;
  }
}

interface PlanExecutorDeps {
  readonly runtime: Runtime;
  readonly clock: Clock;
}

interface PlanRun {
  readonly recorder: StepRecorder;
  /** Aborted, with a reason, when a newer command supersedes the work. */
  readonly signal: AbortSignal;
  /** A note for each step, e.g. that it is part of an undo. */
  readonly detail?: string;
}

/**
 * Executes the steps of a plan in order, each recorded before and after. Throws `StepFailure` with the cause at the first one
 * that fails, exceeds its time limit or is aborted.
 */
export const executePlan = async (
  deps: PlanExecutorDeps,
  steps: readonly Step[],
  { recorder, signal, detail }: PlanRun,
): Promise<void> => {
  for (const step of steps) {
    const name = stepName(step.kind);
    if (signal.aborted) throw new StepFailure(name, signal.reason, null);
    recorder.begin(name, detail);
    try {
      await within(deps, step, signal);
    } catch (error) {
      recorder.end('Failed', messageOf(error instanceof StepFailure ? error.cause : error));
      throw error instanceof StepFailure ? error : new StepFailure(name, error, null);
    }
    recorder.end('Succeeded');
  }
};

/** Runs one step within its time limit. A step that ignores its abort is abandoned and reported. */
const within = async (
  { runtime, clock }: PlanExecutorDeps,
  step: Step,
  outer: AbortSignal,
): Promise<void> => {
  const limit = new AbortController();
  const limitMs = limitOf(step);
  const cancelLimit = clock.after(limitMs, () =>
    limit.abort(
      new StepAbortedError('deadline-exceeded', `The step took longer than ${limitMs / 1_000} seconds.`),
    ),
  );
  const signal = AbortSignal.any([outer, limit.signal]);
  let cancelGrace: Cancel = nothingToCancel;
  const running = execute(runtime, step, signal);
  const left = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      cancelGrace = clock.after(GRACE_MS, () =>
        reject(
          new StepFailure(
            stepName(step.kind),
            signal.reason,
            running.catch(() => undefined),
          ),
        ),
      );
    });
  });
  try {
    await Promise.race([running, left]);
  } finally {
    cancelLimit();
    cancelGrace();
  }
};
