import { loadDefinition } from '../definition/load-definition.ts';
import { DefinitionRefusedError } from '../definition/refused-error.ts';
import { heartbeat, type TaskAnswer } from '../interpreter/answers.ts';
import type { Execution } from '../interpreter/model.ts';
import { type Json, type JsonObject, jsonEquals } from '../json.ts';
import {
  checkedJson,
  checkedName,
  maxResults,
  optionalText,
  pageAfter,
  pageToken,
  requiredText,
} from './api-input.ts';
import { decodeToken, type ExecutionHost } from './execution-host.ts';
import { historyEvent } from './history-event.ts';
import type { Machines, StateMachine } from './machines.ts';
import { ServiceError } from './service-error.ts';
import type { ExecutionRow, Store } from './store.ts';

export interface OperationDeps {
  store: Store;
  host: ExecutionHost;
  machines: Machines;
  newName(): string;
}

type Operation = (request: JsonObject) => Promise<JsonObject> | JsonObject;

const sameJson = (a: string, b: string): boolean => {
  return a === b || jsonEquals(JSON.parse(a) as Json, JSON.parse(b) as Json);
};

const optional = (values: Record<string, Json | undefined>): JsonObject => {
  const object: JsonObject = {};
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) object[key] = value;
  }
  return object;
};

/** The implemented operations of the Step Functions API. */
export class Operations {
  readonly #deps: OperationDeps;
  readonly table: Record<string, Operation>;

  constructor(deps: OperationDeps) {
    this.#deps = deps;
    this.table = {
      StartExecution: (request) => this.#startExecution(request),
      StopExecution: (request) => this.#stopExecution(request),
      DescribeExecution: (request) => this.#describeExecution(request),
      ListExecutions: (request) => this.#listExecutions(request),
      GetExecutionHistory: (request) => this.#getExecutionHistory(request),
      DescribeStateMachine: (request) => this.#describeStateMachine(request),
      DescribeStateMachineForExecution: (request) => this.#describeStateMachineForExecution(request),
      ListStateMachines: (request) => this.#listStateMachines(request),
      ValidateStateMachineDefinition: (request) => this.#validateDefinition(request),
      SendTaskSuccess: (request) => this.#sendTaskSuccess(request),
      SendTaskFailure: (request) => this.#sendTaskFailure(request),
      SendTaskHeartbeat: (request) => this.#sendTaskHeartbeat(request),
    };
  }

  #machine(arn: string): StateMachine {
    const machine = this.#deps.machines.get(arn);
    if (machine) return machine;
    if (!/^arn:[^:]+:states:[^:]*:[^:]*:stateMachine:.+$/.test(arn)) {
      throw new ServiceError('InvalidArn', `Invalid Arn: '${arn}'`);
    }
    throw new ServiceError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
  }

  #row(arn: string): ExecutionRow {
    const row = this.#deps.store.execution(arn);
    if (row && !row.pruned) return row;
    if (!/^arn:[^:]+:states:[^:]*:[^:]*:execution:[^:]+:.+$/.test(arn)) {
      throw new ServiceError('InvalidArn', `Invalid Arn: '${arn}'`);
    }
    throw new ServiceError('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`);
  }

  async #startExecution(request: JsonObject): Promise<JsonObject> {
    const machine = this.#machine(requiredText(request, 'stateMachineArn'));
    const input = checkedJson(optionalText(request, 'input') ?? '{}', 'InvalidExecutionInput');
    const name = checkedName(optionalText(request, 'name') ?? this.#deps.newName());
    const { arn, startedAt } = await this.start(machine, name, input, null);
    return { executionArn: arn, startDate: startedAt / 1000 };
  }

  /**
   * Starts an execution, or returns the open one with the same name and input.
   * @throws ServiceError ExecutionAlreadyExists if another execution has the name
   */
  async start(
    machine: StateMachine,
    name: string,
    input: string,
    startedBy: string | null,
  ): Promise<{ arn: string; startedAt: number }> {
    const arn = `${machine.arn.replace(':stateMachine:', ':execution:')}:${name}`;
    const open: Pick<Execution, 'startedAt' | 'input' | 'startedBy'> | undefined = this.#deps.host.find(arn);
    if (open) {
      if (!sameJson(open.input, input)) throw this.#alreadyExists(arn);
      await this.#deps.host.whenCreated(arn);
      return { arn, startedAt: open.startedAt };
    }
    const closed = this.#deps.store.execution(arn);
    if (closed) {
      if (startedBy !== null && closed.started_by === startedBy) return { arn, startedAt: closed.started_at };
      throw this.#alreadyExists(arn);
    }
    const { startedAt } = await this.#deps.host.start({ arn, name, machine, input, startedBy });
    return { arn, startedAt };
  }

  #alreadyExists(arn: string): ServiceError {
    return new ServiceError('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`);
  }

  /** For `states:startExecution` tasks. The child's name defaults to one from the task's token. */
  async startChild(
    args: JsonObject,
    startedBy: string,
  ): Promise<{ executionArn: string; startDate: number }> {
    const machine = this.#machine(requiredText(args, 'StateMachineArn'));
    const { Input: input = {} } = args;
    const text =
      typeof input === 'string' ? checkedJson(input, 'InvalidExecutionInput') : JSON.stringify(input);
    const token = Buffer.from(startedBy, 'base64url').toString();
    const fallback = token.slice(token.lastIndexOf('#') + 1);
    const name = checkedName(typeof args.Name === 'string' ? args.Name : fallback);
    const { arn, startedAt } = await this.start(machine, name, text, startedBy);
    return { executionArn: arn, startDate: startedAt };
  }

  async #stopExecution(request: JsonObject): Promise<JsonObject> {
    const arn = requiredText(request, 'executionArn');
    this.#row(arn);
    const error = optionalText(request, 'error') ?? null;
    const cause = optionalText(request, 'cause') ?? null;
    await this.#deps.host.enqueue(arn, (run) => {
      if (run.open) run.stop('ABORTED', error, cause);
    });
    return { stopDate: (this.#row(arn).stopped_at ?? 0) / 1000 };
  }

  #describeExecution(request: JsonObject): JsonObject {
    const row = this.#row(requiredText(request, 'executionArn'));
    return {
      executionArn: row.arn,
      stateMachineArn: row.machine_arn,
      name: row.name,
      status: row.status,
      startDate: row.started_at / 1000,
      input: row.input,
      inputDetails: { included: true },
      redriveCount: 0,
      redriveStatus: 'NOT_REDRIVABLE',
      redriveStatusReason:
        row.status === 'RUNNING'
          ? 'Execution is RUNNING and cannot be redriven'
          : 'Redriving is not supported',
      ...optional({
        stopDate: row.stopped_at === null ? null : row.stopped_at / 1000,
        output: row.output,
        outputDetails: row.output === null ? null : { included: true },
        error: row.error,
        cause: row.cause,
      }),
    };
  }

  #listExecutions(request: JsonObject): JsonObject {
    const machineArn = requiredText(request, 'stateMachineArn');
    this.#machine(machineArn);
    const limit = maxResults(request, 1000, 100);
    const status = optionalText(request, 'statusFilter');
    const rows = this.#deps.store.listExecutions({
      machineArn,
      status,
      before: pageAfter(request),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      executions: page.map((row) => ({
        executionArn: row.arn,
        stateMachineArn: row.machine_arn,
        name: row.name,
        status: row.status,
        startDate: row.started_at / 1000,
        redriveCount: 0,
        ...optional({ stopDate: row.stopped_at === null ? null : row.stopped_at / 1000 }),
      })),
      ...(rows.length > limit && last ? { nextToken: pageToken(last.seq) } : {}),
    };
  }

  #getExecutionHistory(request: JsonObject): JsonObject {
    const { arn } = this.#row(requiredText(request, 'executionArn'));
    const limit = maxResults(request, 1000, 100);
    const reverse = request.reverseOrder === true;
    const after = pageAfter(request) ?? (reverse ? Number.MAX_SAFE_INTEGER : 0);
    const events = this.#deps.store.events(arn, after, limit + 1, reverse);
    const page = events.slice(0, limit);
    const last = page.at(-1);
    return {
      events: page.map((event) => historyEvent(event, request.includeExecutionData !== false)),
      ...(events.length > limit && last ? { nextToken: pageToken(last.id) } : {}),
    };
  }

  #describe(machine: StateMachine): JsonObject {
    return {
      stateMachineArn: machine.arn,
      name: machine.name,
      status: 'ACTIVE',
      definition: machine.definition.source,
      roleArn: machine.roleArn,
      type: 'STANDARD',
      creationDate: machine.createdAt / 1000,
      loggingConfiguration: machine.loggingConfiguration,
      tracingConfiguration: machine.tracingConfiguration,
    };
  }

  #describeStateMachine(request: JsonObject): JsonObject {
    return this.#describe(this.#machine(requiredText(request, 'stateMachineArn')));
  }

  #describeStateMachineForExecution(request: JsonObject): JsonObject {
    const row = this.#row(requiredText(request, 'executionArn'));
    const now = this.#deps.machines.get(row.machine_arn);
    return {
      stateMachineArn: row.machine_arn,
      name: row.machine_name,
      definition: this.#deps.store.definition(row.definition_hash) ?? '',
      roleArn: row.role_arn,
      updateDate: (now?.createdAt ?? row.started_at) / 1000,
    };
  }

  #listStateMachines(request: JsonObject): JsonObject {
    const limit = maxResults(request, 1000, 100);
    const from = pageAfter(request) ?? 0;
    const all = this.#deps.machines.list();
    return {
      stateMachines: all.slice(from, from + limit).map((machine) => ({
        stateMachineArn: machine.arn,
        name: machine.name,
        type: 'STANDARD',
        creationDate: machine.createdAt / 1000,
      })),
      ...(from + limit < all.length ? { nextToken: pageToken(from + limit) } : {}),
    };
  }

  #validateDefinition(request: JsonObject): JsonObject {
    try {
      loadDefinition(requiredText(request, 'definition'));
      return { result: 'OK', diagnostics: [], truncated: false };
    } catch (error) {
      if (!(error instanceof DefinitionRefusedError)) throw error;
      const diagnostics = error.refusals.map(({ message, path }) => ({
        severity: 'ERROR',
        code: 'SCHEMA_VALIDATION_FAILED',
        message,
        location: path,
      }));
      return { result: 'FAIL', diagnostics, truncated: false };
    }
  }

  /** Finds the task of a token and applies an answer. A late or unknown token is an error. */
  async #withToken(
    request: JsonObject,
    work: (arn: string, frame: number, token: string) => Promise<boolean | undefined>,
  ): Promise<JsonObject> {
    const token = requiredText(request, 'taskToken');
    const [arn, frame] = decodeToken(token) ?? [];
    if (arn === undefined || frame === undefined) {
      throw new ServiceError('InvalidToken', "Invalid Token: 'Invalid token'");
    }
    if (await work(arn, frame, token)) return {};
    if (!this.#deps.store.execution(arn)) throw new ServiceError('TaskDoesNotExist', 'Task does not exist');
    throw new ServiceError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist anymore'");
  }

  #answer(request: JsonObject, answer: TaskAnswer): Promise<JsonObject> {
    return this.#withToken(request, (arn, frame, token) => this.#deps.host.answer(arn, frame, token, answer));
  }

  #sendTaskSuccess(request: JsonObject): Promise<JsonObject> {
    const output = checkedJson(requiredText(request, 'output'), 'InvalidOutput');
    return this.#answer(request, { kind: 'result', result: JSON.parse(output) as Json });
  }

  #sendTaskFailure(request: JsonObject): Promise<JsonObject> {
    const error = optionalText(request, 'error');
    return this.#answer(request, { kind: 'error', error, cause: optionalText(request, 'cause') });
  }

  #sendTaskHeartbeat(request: JsonObject): Promise<JsonObject> {
    return this.#withToken(request, (arn, frame, token) =>
      this.#deps.host.enqueue(arn, (run) => heartbeat(run, frame, token)),
    );
  }
}
