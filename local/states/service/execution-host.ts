import { answerTask, nextDeadline, onTime, type TaskAnswer } from '../interpreter/answers.ts';
import { newFrame } from '../interpreter/frames.ts';
import { Interpreter } from '../interpreter/interpreter.ts';
import type { Effect, Execution, InterpreterDeps, Machine } from '../interpreter/model.ts';
import type { Json } from '../json.ts';
import type { Log } from './options.ts';
import type { Outbox } from './outbox.ts';
import { statusChangeEvent } from './status-change.ts';
import type { ExecutionRow, OutboxRow, Store } from './store.ts';
import type { TaskRunner } from './task-runner.ts';
import type { Timers } from './timers.ts';

/** Steps between two commits of an execution that never waits. */
const STEPS_PER_COMMIT = 200;

interface Hosted {
  run: Interpreter;
  /** Work on one execution is serialized. */
  tail: Promise<void>;
  /** Resolves when the execution's start is durable. */
  created: Promise<void>;
}

export interface HostDeps extends InterpreterDeps {
  store: Store;
  timers: Timers;
  tasks: TaskRunner;
  outbox: Outbox;
  log: Log;
}

export interface HostCounters {
  transitions: number;
  executionsStarted: number;
  executionsClosed: number;
}

/**
 * Owns the open executions. Only an execution's own work queue changes it, and each piece of work is: change in memory,
 * commit, then act. After a crash the committed frames determine how to continue. So an action (a Lambda invocation, an
 * event) is repeated if the commit after it was lost, and never skipped.
 */
export class ExecutionHost {
  readonly counters: HostCounters = { transitions: 0, executionsStarted: 0, executionsClosed: 0 };
  readonly #deps: HostDeps;
  readonly #hosted = new Map<string, Hosted>();
  /** Transitions of each open execution that are already counted. */
  readonly #counted = new Map<string, number>();
  #closed = false;

  constructor(deps: HostDeps) {
    this.#deps = deps;
  }

  get open(): number {
    return this.#hosted.size;
  }

  /** An open execution; closed ones are only in the store. */
  find(arn: string): Execution | undefined {
    return this.#hosted.get(arn)?.run.execution;
  }

  async whenCreated(arn: string): Promise<void> {
    await this.#hosted.get(arn)?.created;
  }

  /** Resolves when the start is durable. The execution continues in the background. */
  async start(options: {
    arn: string;
    name: string;
    machine: Machine;
    input: string;
    startedBy: string | null;
  }): Promise<Execution> {
    const { store } = this.#deps;
    const startedAt = this.#deps.now();
    const { timeoutSeconds, source } = options.machine.definition;
    const execution = emptyExecution({
      ...options,
      startedAt,
      timeoutAt: timeoutSeconds === undefined ? null : startedAt + timeoutSeconds * 1000,
    });
    const run = new Interpreter(execution, this.#deps);
    const root = newFrame(execution, undefined, '', 0, execution.inputValue);
    run.event(
      root,
      'ExecutionStarted',
      { input: options.input, inputDetails: { truncated: false }, roleArn: options.machine.roleArn },
      false,
    );
    run.wake(root);
    const hosted: Hosted = { run, tail: Promise.resolve(), created: Promise.resolve() };
    this.#hosted.set(options.arn, hosted);
    const rows: OutboxRow[] = [];
    const { dirty, events } = execution;
    execution.dirty = new Set();
    execution.events = [];
    hosted.created = store.commit(() => {
      store.insertExecution(execution, store.addDefinition(source));
      store.save(execution, dirty, events);
      rows.push(this.#outboxRow(execution));
    });
    hosted.tail = hosted.created;
    try {
      await hosted.created;
    } catch (error) {
      this.#hosted.delete(options.arn);
      throw error;
    }
    this.counters.executionsStarted++;
    for (const row of rows) this.#deps.outbox.send(row);
    void this.enqueue(options.arn, () => undefined);
    return execution;
  }

  /** Resumes an execution that an earlier process left open. */
  resume(execution: Execution): void {
    const run = new Interpreter(execution, this.#deps);
    this.#hosted.set(execution.arn, { run, tail: Promise.resolve(), created: Promise.resolve() });
    for (const frame of execution.frames.values()) {
      if (
        frame.phase === 'enter' ||
        frame.phase === 'run' ||
        frame.phase === 'join' ||
        frame.phase === 'children'
      ) {
        run.wake(frame);
      }
      if (frame.phase === 'task' && frame.task && !frame.task.submitted) {
        execution.effects.push({ kind: 'invoke', frame: frame.id, task: frame.task });
      }
    }
    this.#counted.set(execution.arn, execution.transitions);
    void this.enqueue(execution.arn, () => undefined);
  }

  /**
   * Queues a piece of work on an execution.
   * @returns the result of the work, once it is durable; undefined if the execution is not open
   */
  enqueue<T>(arn: string, work: (run: Interpreter) => T | Promise<T>): Promise<T | undefined> {
    const hosted = this.#hosted.get(arn);
    if (!hosted || this.#closed) return Promise.resolve(undefined);
    const result = hosted.tail.then(() => this.#process(hosted, work));
    hosted.tail = result.then(
      () => undefined,
      (error: unknown) => {
        // Memory may be ahead of the file: the durable state continues at the next resume.
        this.#hosted.delete(arn);
        this.#deps.timers.set(arn, undefined);
        this.#deps.log('error', 'An execution is stopped until the next start', {
          arn,
          error: String(error),
        });
      },
    );
    return result;
  }

  onTimer(arn: string): void {
    void this.enqueue(arn, onTime);
  }

  answer(arn: string, frame: number, token: string, answer: TaskAnswer): Promise<boolean | undefined> {
    return this.enqueue(arn, (run) => answerTask(run, frame, token, answer));
  }

  /** Waits until no work is queued. */
  async settle(): Promise<void> {
    await Promise.all([...this.#hosted.values()].map((hosted) => hosted.tail));
  }

  close(): void {
    this.#closed = true;
  }

  async #process<T>(hosted: Hosted, work: (run: Interpreter) => T | Promise<T>): Promise<T> {
    const { run } = hosted;
    const result = await work(run);
    do {
      await run.advance(STEPS_PER_COMMIT);
      await this.#commit(hosted);
    } while (run.execution.ready.length > 0 && !this.#closed);
    return result;
  }

  async #commit({ run }: Hosted): Promise<void> {
    const { execution } = run;
    const { dirty, events, effects } = execution;
    execution.dirty = new Set();
    execution.events = [];
    execution.effects = [];
    const closing = effects.some((effect) => effect.kind === 'closed');
    const rows: OutboxRow[] = [];
    if (dirty.size > 0 || events.length > 0) {
      const { store } = this.#deps;
      const before = execution.transitions;
      await store.commit(() => {
        store.save(execution, dirty, events);
        if (closing) rows.push(this.#outboxRow(execution));
      });
      this.#countTransitions(execution.arn, before);
    }
    if (closing) this.#forget(execution);
    else this.#deps.timers.set(execution.arn, nextDeadline(execution));
    for (const effect of effects) this.#act(execution, effect);
    for (const row of rows) this.#deps.outbox.send(row);
  }

  #countTransitions(arn: string, transitions: number): void {
    this.counters.transitions += transitions - (this.#counted.get(arn) ?? 0);
    this.#counted.set(arn, transitions);
  }

  #forget(execution: Execution): void {
    this.#hosted.delete(execution.arn);
    this.#counted.delete(execution.arn);
    this.#deps.timers.set(execution.arn, undefined);
    this.counters.executionsClosed++;
  }

  #outboxRow(execution: Execution): OutboxRow {
    return this.#deps.store.addToOutbox(statusChangeEvent(execution, this.#deps, this.#deps.random.uuid()));
  }

  #act(execution: Execution, effect: Effect): void {
    if (this.#closed) return;
    if (effect.kind === 'cancel') this.#deps.tasks.cancel(effect.token);
    else if (effect.kind === 'closed') this.#answerParent(execution);
    else {
      const { frame, task } = effect;
      void this.#deps.tasks
        .perform(task)
        .then((answer) => this.answer(execution.arn, frame, task.token, answer))
        .then(() => this.#checkChild(execution.arn, frame))
        .catch((error: unknown) => {
          this.#deps.log('error', 'A task’s answer could not be stored', {
            arn: execution.arn,
            error: String(error),
          });
        });
    }
  }

  /** Handles a sync task whose child ended before the task started to wait. */
  async #checkChild(arn: string, frame: number): Promise<void> {
    const childArn = this.find(arn)?.frames.get(frame)?.task?.childArn;
    if (!childArn || this.find(childArn)) return;
    const row = this.#deps.store.execution(childArn);
    if (row && row.status !== 'RUNNING') await this.#answerFromChild(arn, frame, row);
  }

  /** Handles tasks that waited for a child when an earlier process ended. */
  async checkChildren(): Promise<void> {
    for (const { run } of [...this.#hosted.values()]) {
      for (const frame of [...run.execution.frames.values()]) {
        if (frame.task?.childArn) await this.#checkChild(run.execution.arn, frame.id);
      }
    }
  }

  #answerParent(execution: Execution): void {
    if (execution.startedBy === null) return;
    const [arn, frame] = decodeToken(execution.startedBy) ?? [];
    if (arn === undefined || frame === undefined) return;
    if (this.find(arn)?.frames.get(frame)?.task?.childArn !== execution.arn) return;
    const row = this.#deps.store.execution(execution.arn);
    if (row) void this.#answerFromChild(arn, frame, row);
  }

  async #answerFromChild(arn: string, frame: number, row: ExecutionRow): Promise<void> {
    const task = this.find(arn)?.frames.get(frame)?.task;
    if (task?.resource.kind !== 'start-execution') return;
    await this.answer(arn, frame, task.token, childAnswer(row, task.resource.mode === 'sync:2'));
  }
}

/** @returns the execution's ARN and the frame of a task token */
export const decodeToken = (token: string): [string, number] | undefined => {
  const [arn, frame, nonce] = Buffer.from(token, 'base64url').toString().split('#');
  if (!arn?.startsWith('arn:') || !nonce || !/^\d+$/.test(frame ?? '')) return undefined;
  return [arn, Number(frame)];
};

export const emptyExecution = (
  options: Pick<Execution, 'arn' | 'name' | 'machine' | 'input' | 'startedAt' | 'timeoutAt' | 'startedBy'>,
): Execution => {
  return {
    ...options,
    inputValue: JSON.parse(options.input) as Json,
    status: 'RUNNING',
    stoppedAt: null,
    output: null,
    error: null,
    cause: null,
    eventCount: 0,
    nextFrame: 1,
    transitions: 0,
    frames: new Map(),
    ready: [],
    dirty: new Set(),
    events: [],
    effects: [],
  };
};

/** @param parsed `.sync:2` gives input and output as JSON, `.sync` as text */
const childAnswer = (row: ExecutionRow, parsed: boolean): TaskAnswer => {
  const shown = (text: string | null): Json => (text !== null && parsed ? (JSON.parse(text) as Json) : text);
  const described = {
    ExecutionArn: row.arn,
    Input: shown(row.input),
    Name: row.name,
    StartDate: row.started_at,
    StateMachineArn: row.machine_arn,
    Status: row.status,
    StopDate: row.stopped_at,
  };
  if (row.status !== 'SUCCEEDED') {
    const failed = {
      ...described,
      ...(row.error ? { Error: row.error } : {}),
      ...(row.cause ? { Cause: row.cause } : {}),
    };
    return { kind: 'error', error: 'States.TaskFailed', cause: JSON.stringify(failed) };
  }
  return { kind: 'result', result: { ...described, Output: shown(row.output) } };
};
