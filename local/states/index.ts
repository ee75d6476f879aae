import { randomUUID } from 'node:crypto';
import { systemClock } from '../clock.ts';
import type { Execution, Machine } from './interpreter/model.ts';
import { asRequest } from './service/api-input.ts';
import { ExecutionHost, emptyExecution, type HostCounters } from './service/execution-host.ts';
import { Machines, type StateMachineInput } from './service/machines.ts';
import { Operations } from './service/operations.ts';
import type { StatesServiceOptions } from './service/options.ts';
import { Outbox } from './service/outbox.ts';
import { ServiceError } from './service/service-error.ts';
import { type ExecutionRow, Store } from './service/store.ts';
import { TaskRunner } from './service/task-runner.ts';
import { Timers } from './service/timers.ts';

export { DefinitionRefusedError, type Refusal } from './definition/refused-error.ts';
export type { StateMachineInput } from './service/machines.ts';
export {
  IntegrationError,
  LambdaInvocationError,
  type Log,
  type StatesServiceOptions,
  type StatusChangeEvent,
} from './service/options.ts';

const DAY_MS = 86_400_000;
const PRUNE_EVERY_MS = 3_600_000;
const PRUNE = 'prune';

export interface StatesService {
  /**
   * Creates a state machine, or replaces one with the same ARN. Open executions continue with their definition.
   * @throws DefinitionRefusedError with what is invalid or not implemented
   */
  createStateMachine(input: StateMachineInput): void;
  /**
   * One request of the AWS JSON 1.0 protocol.
   * @param target the `x-amz-target` header, `AWSStepFunctions.StartExecution`
   * @param body the request, parsed
   */
  handle(target: string, body: unknown): Promise<{ status: number; body: unknown }>;
  /** Resumes executions of an earlier process. Call it once, when Lambda can be invoked. */
  resume(): Promise<void>;
  /** State entries and retries of one execution. */
  transitionsOf(executionArn: string): number | undefined;
  /** Stops and closes the file. Open executions continue after the next resume. */
  close(): Promise<void>;
  readonly counters: HostCounters & {
    readonly openExecutions: number;
    readonly pendingStatusChanges: number;
  };
}

const restoreExecution = (row: ExecutionRow, machine: Machine, store: Store): Execution => {
  const execution = emptyExecution({
    arn: row.arn,
    name: row.name,
    machine,
    input: row.input,
    startedAt: row.started_at,
    timeoutAt: row.timeout_at,
    startedBy: row.started_by,
  });
  execution.eventCount = row.event_count;
  execution.nextFrame = row.next_frame;
  execution.transitions = row.transitions;
  execution.frames = new Map(store.frames(row.arn).map((frame) => [frame.id, frame]));
  return execution;
};

/**
 * The embedded Step Functions: Standard state machines in JSONPath and JSONata, executions durable in one
 * SQLite file. See docs/adr/0002-states-language-engine.md.
 */
export const createStatesService = (options: StatesServiceOptions): StatesService => {
  const { region, accountId } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? { number: Math.random, uuid: randomUUID };
  const log = options.log ?? (() => undefined);
  const now = () => clock.now();
  const store = new Store(options.databaseFile);
  const machines = new Machines();
  let closed = false;

  const timers = new Timers(clock, (key) => {
    if (key === PRUNE)
      prune().catch((error) => log('error', 'Old executions were not pruned', { error: String(error) }));
    else if (!outbox.onTimer(key)) host.onTimer(key);
  });
  const outbox = new Outbox({ store, timers, deliver: (event) => options.onStatusChange(event), now, log });
  const tasks = new TaskRunner({
    invokeLambda: (arn, payload, context) => options.invokeLambda(arn, payload, context),
    putEvents: options.putEvents && ((entries) => options.putEvents?.(entries) ?? Promise.reject()),
    callDynamoDb: options.callDynamoDb,
    startChild: (args, startedBy) => operations.startChild(args, startedBy),
  });
  const host = new ExecutionHost({ now, random, region, accountId, store, timers, tasks, outbox, log });
  const operations = new Operations({ store, host, machines, newName: () => random.uuid() });

  async function prune(): Promise<void> {
    const before = now() - (options.retainClosedMs ?? DAY_MS);
    let pruned = 0;
    await store.commit(() => {
      pruned = store.prune(before);
    });
    if (!closed) timers.set(PRUNE, now() + (pruned === 0 ? PRUNE_EVERY_MS : 1000));
  }

  async function call(target: string, body: unknown): Promise<{ status: number; body: unknown }> {
    const name = target.startsWith('AWSStepFunctions.') ? target.slice('AWSStepFunctions.'.length) : '';
    const operation = Object.hasOwn(operations.table, name) ? operations.table[name] : undefined;
    if (!operation) {
      throw new ServiceError(
        'UnknownOperationException',
        `The operation '${name || target}' is not supported`,
      );
    }
    return { status: 200, body: await operation(asRequest(body)) };
  }

  return {
    createStateMachine(input) {
      machines.create(input, now());
    },
    async handle(target, body) {
      try {
        return await call(target, body);
      } catch (error) {
        if (error instanceof ServiceError) {
          return { status: error.status, body: { __type: error.code, message: error.message } };
        }
        log('error', 'A request failed', { target, error: String(error) });
        return { status: 500, body: { __type: 'InternalServerError', message: 'Internal error' } };
      }
    },
    async resume() {
      for (const row of store.openExecutions()) {
        const source = store.definition(row.definition_hash);
        if (source === undefined || host.find(row.arn)) continue;
        try {
          host.resume(restoreExecution(row, machines.ofExecution(row, source), store));
        } catch (error) {
          log('error', 'An execution cannot be resumed', { arn: row.arn, error: String(error) });
        }
      }
      outbox.resume();
      await host.settle();
      await host.checkChildren();
      await prune();
    },
    transitionsOf: (executionArn) =>
      host.find(executionArn)?.transitions ?? store.execution(executionArn)?.transitions,
    async close() {
      closed = true;
      host.close();
      timers.close();
      outbox.close();
      tasks.cancelAll();
      await host.settle();
      store.close();
    },
    get counters() {
      return { ...host.counters, openExecutions: host.open, pendingStatusChanges: outbox.pending };
    },
  };
};
