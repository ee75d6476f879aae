import type { OperationStep } from '../../core/contract/operation.ts';
import type { Clock } from '../clock.ts';

/** Records steps before and after they run. Throws if that fails, and then the step does not run. */
type RecordSteps = (steps: readonly OperationStep[]) => void;

/** Collects the steps of a command with their times, and records each change. */
export class StepRecorder {
  readonly #clock: Clock;
  readonly #record: RecordSteps;
  #steps: OperationStep[];
  #begunAt = 0;

  /** `before` are steps of an earlier attempt: one that was running when the agent crashed is closed as failed. */
  constructor(clock: Clock, record: RecordSteps, before: readonly OperationStep[] = []) {
    this.#clock = clock;
    this.#record = record;
    this.#steps = before.map((step) =>
      step.state === 'Running'
        ? { ...step, state: 'Failed', detail: 'The agent ended during this step.' }
        : step,
    );
  }

  get steps(): readonly OperationStep[] {
    return this.#steps;
  }

  begin(name: string, detail?: string): void {
    const startedAt = this.#clock.now().toISOString();
    this.#begunAt = this.#clock.monotonicMs();
    this.#set([...this.#steps, { name, state: 'Running', startedAt, durationMs: null, detail }]);
  }

  end(state: 'Succeeded' | 'Failed', detail?: string): void {
    const last = this.#steps.at(-1);
    if (!last) return;
    const durationMs = Math.round((this.#clock.monotonicMs() - this.#begunAt) * 1_000) / 1_000;
    this.#set([...this.#steps.slice(0, -1), { ...last, state, durationMs, detail: detail ?? last.detail }]);
  }

  /** Recorded first, so that the steps in memory never differ from the journal. */
  #set(steps: OperationStep[]): void {
    this.#record(steps);
    this.#steps = steps;
  }
}
