import { isObject, type Json, type JsonObject } from '../json.ts';
import { applyPath, applyTemplate, evaluateField } from '../query/payload-template.ts';
import type { QueryScope } from '../query/scope.ts';
import { runtimeFailure, StateFailure } from '../state-failure.ts';
import { collectChildren, onChildFinished, startMap, startParallel, stepChildren } from './children.ts';
import { testCondition, testRule } from './choice-rules.ts';
import { handleFailure } from './failures.ts';
import { jsonataText } from './field-values.ts';
import { childrenOf, parentOf, queryScope, stateOf, usesJsonata } from './frames.ts';
import { record } from './history.ts';
import type { Execution, ExecutionStatus, Frame, InterpreterDeps } from './model.ts';
import type { Run } from './run.ts';
import { jsonataOutcome, type Outcome, passingOutcome, resultOutcome } from './state-output.ts';
import { prepareTask, scheduledDetails, taskEvents } from './task-start.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Runs the frames of one execution. Changes the execution in memory only: required actions are in `effects`, changes in
 * `dirty` and `events`. The caller makes the changes durable before it performs the actions.
 */
export class Interpreter implements Run {
  readonly execution: Execution;
  readonly deps: InterpreterDeps;

  constructor(execution: Execution, deps: InterpreterDeps) {
    this.execution = execution;
    this.deps = deps;
  }

  get open(): boolean {
    return this.execution.status === 'RUNNING';
  }

  event(frame: Frame, type: string, details: JsonObject | null = null, chain = true): number {
    return record(this.execution, frame, this.deps.now(), type, details, chain);
  }

  wake(frame: Frame): void {
    this.execution.dirty.add(frame.id);
    if (!this.execution.ready.includes(frame)) this.execution.ready.push(frame);
  }

  /** Runs ready frames, up to a number of steps. More may be ready afterwards. */
  async advance(maxSteps: number): Promise<void> {
    for (let steps = 0; steps < maxSteps && this.open; steps++) {
      const frame = this.execution.ready.shift();
      if (!frame) return;
      if (this.execution.frames.get(frame.id) !== frame) continue;
      this.execution.dirty.add(frame.id);
      await this.guarded(frame, () => this.#step(frame));
    }
    if (!this.open) this.execution.ready = [];
  }

  async guarded(frame: Frame, work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      const failure =
        error instanceof StateFailure
          ? error
          : runtimeFailure(error instanceof Error ? error.message : String(error));
      await this.onFailure(frame, failure);
    }
  }

  async #step(frame: Frame): Promise<void> {
    if (frame.phase === 'enter') this.#enter(frame);
    else if (frame.phase === 'run') await this.#run(frame);
    else if (frame.phase === 'children') await stepChildren(this, frame);
    else if (frame.phase === 'join') await this.finishWork(frame, collectChildren(this, frame));
  }

  #enter(frame: Frame): void {
    frame.enteredAt = this.deps.now();
    frame.attempts = [];
    frame.retryCount = 0;
    this.execution.transitions++;
    const type = stateOf(this.execution, frame).Type;
    frame.enteredEvent = this.event(frame, `${type}StateEntered`, {
      name: frame.state,
      input: JSON.stringify(frame.input),
      inputDetails: { truncated: false },
    });
    frame.phase = 'run';
    this.wake(frame);
  }

  scope(frame: Frame): QueryScope {
    return queryScope(this.execution, frame, this.deps);
  }

  async #run(frame: Frame): Promise<void> {
    const state = stateOf(this.execution, frame);
    const jsonata = usesJsonata(this.execution, state);
    switch (state.Type) {
      case 'Pass':
        return this.#runPass(frame, state, jsonata);
      case 'Succeed':
        return this.leave(frame, await passingOutcome(state, jsonata, this.scope(frame)), undefined);
      case 'Fail':
        return this.#runFail(frame, state, jsonata);
      case 'Choice':
        return this.#runChoice(frame, state, jsonata);
      case 'Wait':
        frame.wakeAt = await waitUntil(state, jsonata, this.scope(frame), this.deps.now());
        frame.phase = 'wait';
        return;
      case 'Task':
        return this.#runTask(frame, state, jsonata);
      case 'Parallel':
        return startParallel(this, frame, state, jsonata);
      default:
        return startMap(this, frame, state, jsonata);
    }
  }

  async #runPass(frame: Frame, state: JsonObject, jsonata: boolean): Promise<void> {
    const scope = this.scope(frame);
    if (jsonata) return this.leave(frame, await jsonataOutcome(state, '', frame.input, scope), state.Next);
    const effective = applyPath(state.InputPath, frame.input, scope);
    const parameters =
      state.Parameters === undefined ? effective : applyTemplate(state.Parameters, effective, scope);
    const result = state.Result === undefined ? parameters : state.Result;
    this.leave(frame, await resultOutcome(state, false, result, scope), state.Next);
  }

  async #runFail(frame: Frame, state: JsonObject, jsonata: boolean): Promise<void> {
    const scope = this.scope(frame);
    const text = async (field: string): Promise<string | undefined> => {
      const path = state[`${field}Path`];
      if (jsonata || path === undefined) return jsonataText(state, field, scope);
      const value = evaluateField(`${field}Path`, String(path), frame.input, scope);
      if (typeof value === 'string') return value;
      throw runtimeFailure(
        `The ${field}Path field refers to a value that is not a string: ${path} == ${JSON.stringify(value)}`,
      );
    };
    throw new StateFailure(await text('Error'), await text('Cause'));
  }

  async #runChoice(frame: Frame, state: JsonObject, jsonata: boolean): Promise<void> {
    const scope = this.scope(frame);
    const data = jsonata ? frame.input : applyPath(state.InputPath, frame.input, scope);
    const rules = Array.isArray(state.Choices) ? state.Choices.filter(isObject) : [];
    for (const [index, rule] of rules.entries()) {
      const chosen = jsonata ? await testCondition(rule, index, scope) : testRule(rule, data, scope);
      if (!chosen) continue;
      const outcome = jsonata
        ? await jsonataOutcome(rule, `Choices[${index}]/`, frame.input, scope)
        : await passingOutcome({ ...state, Assign: rule.Assign ?? {} }, false, scope);
      return this.leave(frame, outcome, rule.Next);
    }
    if (state.Default === undefined) {
      throw runtimeFailure(
        'Failed to transition out of the state. The state does not point to a next state.',
      );
    }
    this.leave(frame, await passingOutcome(state, jsonata, scope), state.Default);
  }

  async #runTask(frame: Frame, state: JsonObject, jsonata: boolean): Promise<void> {
    const token = `${this.execution.arn}#${frame.id}#${this.deps.random.uuid()}`;
    const now = this.deps.now();
    const task = await prepareTask(
      state,
      jsonata,
      this.scope(frame),
      Buffer.from(token).toString('base64url'),
      now,
    );
    const { prefix, details } = taskEvents(task);
    this.event(frame, `${prefix}Scheduled`, scheduledDetails(task, this.deps.region, now));
    this.event(frame, `${prefix}Started`, prefix === 'Task' ? details : null);
    frame.task = task;
    frame.phase = 'task';
    this.execution.effects.push({ kind: 'invoke', frame: frame.id, task });
  }

  leave(frame: Frame, outcome: Outcome, next: Json | undefined): void {
    const type = stateOf(this.execution, frame).Type;
    const output = JSON.stringify(outcome.output);
    const details: JsonObject = { name: frame.state, output, outputDetails: { truncated: false } };
    if (Object.keys(outcome.assigned).length > 0) {
      details.assignedVariables = Object.fromEntries(
        Object.entries(outcome.assigned).map(([name, value]) => [name, JSON.stringify(value)]),
      );
      details.assignedVariablesDetails = { truncated: false };
    }
    this.event(frame, `${type}StateExited`, details);
    frame.variables = { ...frame.variables, ...outcome.assigned };
    this.clearState(frame);
    if (next === undefined) {
      this.#finishFrame(frame, outcome.output);
      return;
    }
    frame.state = String(next);
    frame.input = outcome.output;
    frame.phase = 'enter';
    this.wake(frame);
  }

  clearState(frame: Frame): void {
    frame.wakeAt = null;
    frame.task = null;
    frame.children = null;
    frame.mapInput = null;
    this.execution.dirty.add(frame.id);
  }

  async finishWork(frame: Frame, result: Json): Promise<void> {
    const state = stateOf(this.execution, frame);
    const jsonata = usesJsonata(this.execution, state);
    const outcome = await resultOutcome(state, jsonata, result, this.scope(frame));
    this.leave(frame, outcome, state.Next);
  }

  #finishFrame(frame: Frame, output: Json): void {
    const parent = parentOf(this.execution, frame);
    if (parent) {
      frame.phase = 'finished';
      frame.output = output;
      onChildFinished(this, parent, frame);
      return;
    }
    const text = JSON.stringify(output);
    this.event(frame, 'ExecutionSucceeded', { output: text, outputDetails: { truncated: false } });
    this.execution.output = text;
    this.close('SUCCEEDED');
  }

  onFailure(frame: Frame, failure: StateFailure): Promise<void> {
    return handleFailure(this, frame, failure);
  }

  close(status: ExecutionStatus): void {
    this.execution.status = status;
    this.execution.stoppedAt = this.deps.now();
    for (const frame of this.execution.frames.values()) {
      if (frame.task) this.execution.effects.push({ kind: 'cancel', token: frame.task.token });
      this.execution.dirty.add(frame.id);
    }
    this.execution.frames.clear();
    this.execution.ready = [];
    this.execution.effects.push({ kind: 'closed' });
  }

  stop(status: 'ABORTED' | 'TIMED_OUT', error: string | null, cause: string | null): void {
    const details: JsonObject = {};
    if (error !== null) details.error = error;
    if (cause !== null) details.cause = cause;
    const now = this.deps.now();
    const id = ++this.execution.eventCount;
    const type = status === 'ABORTED' ? 'ExecutionAborted' : 'ExecutionTimedOut';
    this.execution.events.push({ id, previousEventId: 0, timestamp: now, type, details });
    if (status === 'ABORTED') {
      this.execution.error = error;
      this.execution.cause = cause;
    }
    this.close(status);
  }

  /** Ends a frame's branches or iterations, innermost first. */
  abortChildren(frame: Frame): void {
    for (const child of childrenOf(this.execution, frame)) {
      this.abortChildren(child);
      if (child.phase !== 'finished' && child.phase !== 'enter') {
        this.event(child, `${stateOf(this.execution, child).Type}StateAborted`);
      }
      this.removeFrame(child);
    }
  }

  removeFrame(frame: Frame): void {
    if (frame.task) this.execution.effects.push({ kind: 'cancel', token: frame.task.token });
    this.execution.frames.delete(frame.id);
    this.execution.dirty.add(frame.id);
    this.execution.ready = this.execution.ready.filter((other) => other !== frame);
  }
}
