import type { Clock } from '../clock.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Randomness } from '../query/randomness.ts';

/** A Lambda function's own failure; any other rejection of invokeLambda is the platform's. */
export class LambdaInvocationError extends Error {
  override readonly name = 'LambdaInvocationError';
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace: string[];

  constructor(options: { errorType: string; errorMessage: string; trace?: string[] }) {
    super(`${options.errorType}: ${options.errorMessage}`);
    this.errorType = options.errorType;
    this.errorMessage = options.errorMessage;
    this.trace = options.trace ?? [];
  }
}

/** An integration's failure under the name that States Language gives it, such as `EventBridge.FailedEntry`. */
export class IntegrationError extends Error {
  override readonly name = 'IntegrationError';
  readonly error: string;

  constructor(error: string, cause: string) {
    super(cause);
    this.error = error;
  }
}

/** EventBridge's envelope of a `Step Functions Execution Status Change`. */
export interface StatusChangeEvent {
  version: '0';
  id: string;
  'detail-type': 'Step Functions Execution Status Change';
  source: 'aws.states';
  account: string;
  time: string;
  region: string;
  resources: string[];
  detail: JsonObject;
}

export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  details?: Record<string, unknown>,
) => void;

export interface StatesServiceOptions {
  /** The SQLite file that holds the executions; `:memory:` keeps none. */
  databaseFile: string;
  region: string;
  accountId: string;
  clock?: Clock;
  random?: Randomness;
  /** How long closed executions keep their history, in milliseconds; 24 hours unless told. */
  retainClosedMs?: number;
  /**
   * @param functionArn with the alias or version, if the definition names one
   * @param options.signal aborts when the task has timed out or its execution has ended
   * @throws LambdaInvocationError when the function failed
   */
  invokeLambda(functionArn: string, payload: Json, options: { signal: AbortSignal }): Promise<unknown>;
  /** PutEvents of EventBridge, for `states:::events:putEvents`. */
  putEvents?(entries: Json[]): Promise<{ FailedEntryCount: number; Entries: Json[] }>;
  /** A DynamoDB operation with its API's own arguments, for `states:::dynamodb:*`. */
  callDynamoDb?(operation: string, args: JsonObject): Promise<Json>;
  /**
   * Takes a status change. It is called at least once for each, again after a rejection or a restart,
   * until it resolves; events of one execution may come out of order.
   */
  onStatusChange(event: StatusChangeEvent): Promise<void>;
  log?: Log;
}
