import type { TaskAnswer } from '../interpreter/answers.ts';
import type { TaskWait } from '../interpreter/model.ts';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { IntegrationError, LambdaInvocationError, type StatesServiceOptions } from './options.ts';
import { ServiceError } from './service-error.ts';

/** The part of the service that integrations need. */
export interface NestedExecutions {
  /**
   * Starts a child execution for a task. A repeat after a crash finds the child that it started.
   * @throws ServiceError
   */
  startChild(args: JsonObject, startedBy: string): Promise<{ executionArn: string; startDate: number }>;
}

type Deps = Pick<StatesServiceOptions, 'invokeLambda' | 'putEvents' | 'callDynamoDb'> & NestedExecutions;

const asJson = (value: unknown): Json => {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);
};

const qualifierOf = (functionArn: string): string => {
  return /:function:[^:]+:(.+)$/.exec(functionArn)?.[1] ?? '$LATEST';
};

const argumentsOf = (task: TaskWait): JsonObject => {
  return isObject(task.args) ? task.args : {};
};

const required = (args: JsonObject, field: string): string => {
  const value = args[field];
  if (typeof value === 'string') return value;
  throw new IntegrationError('States.Runtime', `The field '${field}' is required but was missing`);
};

/** Sends the request of a task's attempt, and cancels it when the attempt ends. */
export class TaskRunner {
  readonly #deps: Deps;
  readonly #running = new Map<string, AbortController>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  cancel(token: string): void {
    this.#running.get(token)?.abort();
    this.#running.delete(token);
  }

  cancelAll(): void {
    for (const token of [...this.#running.keys()]) this.cancel(token);
  }

  async perform(task: TaskWait): Promise<TaskAnswer> {
    const controller = new AbortController();
    this.#running.set(task.token, controller);
    try {
      return await this.#request(task, controller.signal);
    } catch (error) {
      return this.#failure(task, error);
    } finally {
      this.#running.delete(task.token);
    }
  }

  async #request(task: TaskWait, signal: AbortSignal): Promise<TaskAnswer> {
    const { resource } = task;
    switch (resource.kind) {
      case 'lambda-function': {
        const result = await this.#deps.invokeLambda(resource.functionArn, task.args, { signal });
        return { kind: 'result', result: asJson(result) };
      }
      case 'lambda-invoke':
        return this.#invokeLambda(task, resource.token, signal);
      case 'start-execution':
        return this.#startExecution(task, resource.mode);
      case 'put-events':
        return this.#putEvents(task);
      case 'dynamodb': {
        if (!this.#deps.callDynamoDb)
          throw new IntegrationError('States.Runtime', 'No DynamoDB is connected');
        const result = await this.#deps.callDynamoDb(resource.operation, argumentsOf(task));
        return { kind: 'result', result: asJson(result) };
      }
    }
  }

  async #invokeLambda(task: TaskWait, token: boolean, signal: AbortSignal): Promise<TaskAnswer> {
    const args = argumentsOf(task);
    const name = required(args, 'FunctionName');
    const qualifier = typeof args.Qualifier === 'string' ? args.Qualifier : qualifierOf(name);
    const target = typeof args.Qualifier === 'string' ? `${name}:${args.Qualifier}` : name;
    const payload = asJson(await this.#deps.invokeLambda(target, args.Payload ?? {}, { signal }));
    const output = { ExecutedVersion: qualifier, Payload: payload, StatusCode: 200 };
    return token ? { kind: 'submitted', output, childArn: null } : { kind: 'result', result: output };
  }

  async #startExecution(task: TaskWait, mode: 'request' | 'sync' | 'sync:2' | 'token'): Promise<TaskAnswer> {
    const { executionArn, startDate } = await this.#deps.startChild(argumentsOf(task), task.token);
    const output = { ExecutionArn: executionArn, StartDate: new Date(startDate).toISOString() };
    if (mode === 'request') return { kind: 'result', result: output };
    return { kind: 'submitted', output, childArn: mode === 'token' ? null : executionArn };
  }

  async #putEvents(task: TaskWait): Promise<TaskAnswer> {
    if (!this.#deps.putEvents) throw new IntegrationError('States.Runtime', 'No EventBridge is connected');
    const { Entries: entries } = argumentsOf(task);
    const result = await this.#deps.putEvents(Array.isArray(entries) ? entries : []);
    if (result.FailedEntryCount > 0)
      throw new IntegrationError('EventBridge.FailedEntry', JSON.stringify(result));
    return { kind: 'result', result: asJson(result) };
  }

  #failure(task: TaskWait, error: unknown): TaskAnswer {
    if (error instanceof LambdaInvocationError) {
      const { errorType, errorMessage, trace } = error;
      return { kind: 'error', error: errorType, cause: JSON.stringify({ errorMessage, errorType, trace }) };
    }
    if (error instanceof IntegrationError) return { kind: 'error', error: error.error, cause: error.message };
    if (error instanceof ServiceError) {
      return { kind: 'error', error: `StepFunctions.${error.code}Exception`, cause: error.message };
    }
    const cause = error instanceof Error ? error.message : String(error);
    const lambda = task.resource.kind === 'lambda-function' || task.resource.kind === 'lambda-invoke';
    return { kind: 'error', error: lambda ? 'Lambda.Unknown' : 'States.TaskFailed', cause };
  }
}
