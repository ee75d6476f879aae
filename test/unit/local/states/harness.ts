import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  createStatesService,
  type StatesService,
  type StatesServiceOptions,
  type StatusChangeEvent,
} from '../../../../local/states/index.ts';
import type { Json } from '../../../../local/states/json.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

export const REGION = 'eu-west-1';
export const ACCOUNT = '111111111111';
export const FUNCTION = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:work`;

export interface Described {
  status: string;
  output?: string;
  error?: string;
  cause?: string;
}

export interface HistoryEvent {
  id: number;
  previousEventId: number;
  type: string;
  [details: string]: unknown;
}

export function machineArn(name: string): string {
  return `arn:aws:states:${REGION}:${ACCOUNT}:stateMachine:${name}`;
}

/** A service with a manual clock and a scripted Lambda. */
export class Harness {
  readonly clock: ManualCloudClock;
  readonly statusChanges: StatusChangeEvent[] = [];
  readonly invocations: { arn: string; payload: Json; signal: AbortSignal }[] = [];
  lambda: (payload: Json, arn: string) => unknown = () => null;
  service: StatesService;
  private readonly options: Partial<StatesServiceOptions>;
  private ids = 0;

  constructor(
    options: Partial<StatesServiceOptions> = {},
    clock = new ManualCloudClock(Date.UTC(2026, 0, 1)),
  ) {
    this.clock = clock;
    this.options = options;
    this.service = this.create();
  }

  private create(): StatesService {
    return createStatesService({
      databaseFile: ':memory:',
      region: REGION,
      accountId: ACCOUNT,
      clock: this.clock,
      random: { number: () => 0.5, uuid: () => `id-${++this.ids}-${process.hrtime.bigint()}` },
      invokeLambda: async (arn, payload, { signal }) => {
        this.invocations.push({ arn, payload, signal });
        return this.lambda(payload, arn);
      },
      onStatusChange: async (event) => {
        this.statusChanges.push(event);
      },
      ...this.options,
    });
  }

  define(definition: object, name = 'machine'): string {
    const arn = machineArn(name);
    this.service.createStateMachine({
      name,
      arn,
      definition: JSON.stringify(definition),
      roleArn: 'arn:aws:iam::1:role/r',
    });
    return arn;
  }

  /** A new service on the same file, as after a restart. */
  async restart(definition: object): Promise<void> {
    await this.service.close();
    this.service = this.create();
    this.define(definition);
    await this.service.resume();
    await this.settle();
  }

  async call(operation: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
    const answer = await this.service.handle(`AWSStepFunctions.${operation}`, body);
    return answer as { status: number; body: Record<string, unknown> };
  }

  async start(input: unknown = {}, options: { name?: string; machine?: string } = {}): Promise<string> {
    const { name, machine = machineArn('machine') } = options;
    const answer = await this.call('StartExecution', {
      stateMachineArn: machine,
      name,
      input: JSON.stringify(input),
    });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    await this.settle();
    return String(answer.body.executionArn);
  }

  /** Runs all work that needs no advance of the clock. */
  async settle(): Promise<void> {
    for (let i = 0; i < 60; i++) await nextTurn();
  }

  async pass(seconds: number): Promise<void> {
    this.clock.advance(seconds * 1000);
    await this.settle();
  }

  async describe(executionArn: string): Promise<Described> {
    return (await this.call('DescribeExecution', { executionArn })).body as unknown as Described;
  }

  async output(executionArn: string): Promise<unknown> {
    const { output } = await this.describe(executionArn);
    return output === undefined ? undefined : JSON.parse(output);
  }

  async history(executionArn: string): Promise<HistoryEvent[]> {
    const { body } = await this.call('GetExecutionHistory', { executionArn, maxResults: 1000 });
    return body.events as HistoryEvent[];
  }

  async eventTypes(executionArn: string): Promise<string[]> {
    return (await this.history(executionArn)).map((event) => event.type);
  }

  /** The input of an invocation. Missing fields are `undefined`. */
  payload(i = 0): Record<string, string> {
    return (this.invocations[i]?.payload ?? {}) as Record<string, string>;
  }

  close(): Promise<void> {
    return this.service.close();
  }
}
