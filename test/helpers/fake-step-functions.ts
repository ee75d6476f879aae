import type { WorkflowInput, WorkflowStepEvent } from '../../core/contract/deployment.ts';
import { STEPS, TIMES } from '../../core/contract/deployment.ts';
import { MACHINE_SPECS } from '../../lib/state-machines/index.ts';
import type { OperationRecord } from '../../store/operations.ts';
import { failureMachine } from '../../workflow/operation/host-step.ts';
import type { Failure, StartFailure, TaskAnswer, Tasks } from '../../workflow/tasks.ts';

export interface StepHandlers {
  readonly place: (event: WorkflowStepEvent) => Promise<void>;
  readonly dispatch: (event: WorkflowStepEvent) => Promise<void>;
  readonly settle: (event: unknown) => Promise<void>;
}

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED';

interface Execution {
  readonly input: WorkflowInput;
  readonly steps: readonly string[];
  readonly undoable: boolean;
  readonly startedAt: number;
  at: string;
  /** When the waiting step began. */
  since: number;
  token: string | null;
  failure: { error: string; cause: string } | null;
  status: ExecutionStatus;
}

/**
 * The part of Step Functions that the workflows need: executions by name, task tokens that can be answered once, and
 * the states of the machines with the failure path. The steps come from the real machines. Nothing happens until `run`.
 * Each function can be called twice, as Lambda may do.
 */
export class FakeStepFunctions implements Tasks {
  readonly #executions = new Map<string, Execution>();
  readonly #tokens = new Map<string, Execution>();
  readonly #queue: Execution[] = [];
  readonly heartbeats: string[] = [];
  readonly answers: { token: string; kind: 'success' | 'failure' }[] = [];
  /** Number of states entered by all executions. */
  transitions = 0;
  /** How often each function is invoked for a step. */
  invocations = 1;
  #serial = 0;
  readonly #now: () => number;

  /** @param now in milliseconds, for {@link expire} */
  constructor(now: () => number = () => 0) {
    this.#now = now;
  }

  start({ tenant, id, view, epoch, machine }: OperationRecord): 'started' | 'already-started' {
    const input = { tenant, operationId: id, containerId: view.containerId, epoch };
    return this.#start(machine, input, null);
  }

  /** Starts the execution that ends a failed operation which no execution runs. */
  readonly startFailure: StartFailure = async ({ tenant, operationId, step, command }, failure) => {
    if (operationId === null || step === null) throw new TypeError('a command without an operation');
    const { containerId, epoch } = command;
    return this.#start(failureMachine(step), { tenant, operationId, containerId, epoch }, failure);
  };

  #start(machine: string, input: WorkflowInput, failure: Failure | null): 'started' | 'already-started' {
    if (this.#executions.has(input.operationId)) return 'already-started';
    const spec = MACHINE_SPECS.find(({ name }) => name === machine);
    if (spec === undefined) throw new TypeError(`no machine ${machine}`);
    const execution: Execution = {
      input,
      steps: spec.steps,
      undoable: spec.undo,
      startedAt: this.#now(),
      since: this.#now(),
      at: spec.steps[0] ?? (spec.undo ? STEPS.undo : STEPS.settle),
      token: null,
      failure,
      status: 'RUNNING',
    };
    this.#executions.set(input.operationId, execution);
    this.#queue.push(execution);
    return 'started';
  }

  status(operationId: string): ExecutionStatus | undefined {
    return this.#executions.get(operationId)?.status;
  }

  /** Token of the step in which the execution waits. */
  tokenOf(operationId: string): string | null {
    return this.#executions.get(operationId)?.token ?? null;
  }

  /** Number of steps that wait for a token. */
  get waiting(): number {
    return this.#tokens.size;
  }

  async succeed(token: string): Promise<TaskAnswer> {
    const execution = this.#take(token);
    if (execution === undefined) return 'settled';
    this.answers.push({ token, kind: 'success' });
    this.#next(execution);
    return 'delivered';
  }

  async fail(token: string, error: string, cause: string): Promise<TaskAnswer> {
    const execution = this.#take(token);
    if (execution === undefined) return 'settled';
    this.answers.push({ token, kind: 'failure' });
    this.#fail(execution, error, cause);
    return 'delivered';
  }

  async heartbeat(token: string): Promise<TaskAnswer> {
    if (!this.#tokens.has(token)) return 'settled';
    this.heartbeats.push(token);
    return 'delivered';
  }

  /** Times the waiting step out: Place is retried, any other step fails. */
  timeOut(operationId: string): void {
    const execution = this.#executions.get(operationId);
    if (execution?.token === null || execution === undefined) return;
    this.#take(execution.token);
    if (execution.at === STEPS.place) this.#queue.push(execution);
    else this.#fail(execution, 'States.HeartbeatTimeout', '');
  }

  /** Ends the steps that have waited for longer than their time limit. */
  expire(): void {
    const over = (from: number, seconds: number): boolean => this.#now() >= from + seconds * 1000;
    for (const [operationId, { token, at, since, startedAt }] of this.#executions) {
      if (token === null) continue;
      const isOver =
        at === STEPS.undo
          ? over(since, TIMES.undoSeconds)
          : over(startedAt, TIMES.operationDeadlineSeconds) ||
            (at === STEPS.place && over(since, TIMES.placementRetrySeconds));
      if (isOver) this.timeOut(operationId);
    }
  }

  /** Aborts the execution. @returns the event that EventBridge delivers */
  abort(operationId: string): unknown {
    const execution = this.#executions.get(operationId);
    if (execution === undefined) return undefined;
    if (execution.token !== null) this.#take(execution.token);
    execution.status = 'ABORTED';
    return {
      'detail-type': 'Step Functions Execution Status Change',
      detail: { status: 'ABORTED', name: operationId, input: JSON.stringify(execution.input) },
    };
  }

  /** Runs until every execution has ended or waits. */
  async run(handlers: StepHandlers): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift())
      await this.#step(next, handlers);
  }

  async #step(execution: Execution, handlers: StepHandlers): Promise<void> {
    if (execution.status !== 'RUNNING') return;
    this.transitions += 1;
    const { at, input } = execution;
    if (at === STEPS.settle) {
      await this.#settle(execution, handlers);
      return;
    }
    this.#serial += 1;
    const taskToken = `token-${this.#serial}`;
    execution.token = taskToken;
    execution.since = this.#now();
    this.#tokens.set(taskToken, execution);
    const handler = at === STEPS.place ? handlers.place : handlers.dispatch;
    for (let call = 0; call < this.invocations; call += 1) await handler({ ...input, step: at, taskToken });
  }

  async #settle(execution: Execution, handlers: StepHandlers): Promise<void> {
    const { at, input, failure } = execution;
    for (let call = 0; call < this.invocations; call += 1)
      await handlers.settle({ ...input, step: at, failure, undone: this.#undone.has(execution) });
    execution.status = 'FAILED';
  }

  readonly #undone = new Set<Execution>();

  #take(token: string): Execution | undefined {
    const execution = this.#tokens.get(token);
    this.#tokens.delete(token);
    if (execution !== undefined) execution.token = null;
    return execution;
  }

  #next(execution: Execution): void {
    if (execution.at === STEPS.undo) {
      this.#undone.add(execution);
      execution.at = STEPS.settle;
    } else {
      const step = execution.steps[execution.steps.indexOf(execution.at) + 1];
      if (step === undefined) {
        execution.status = 'SUCCEEDED';
        return;
      }
      execution.at = step;
    }
    this.#queue.push(execution);
  }

  #fail(execution: Execution, error: string, cause: string): void {
    execution.failure ??= { error, cause };
    if (execution.at === STEPS.place) this.#undone.add(execution);
    const goesBack = execution.undoable && execution.at !== STEPS.undo && execution.at !== STEPS.place;
    execution.at = goesBack ? STEPS.undo : STEPS.settle;
    this.#queue.push(execution);
  }
}
