import type { Clock } from '../../engine.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Randomness } from '../query/randomness.ts';

/** A failure of the Lambda function. Any other rejection of invokeLambda is a platform failure. */
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

/** A failure of an integration with its States Language name, such as `EventBridge.FailedEntry`. */
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
  /** The SQLite file for the executions; `:memory:` stores none. */
  databaseFile: string;
  region: string;
  accountId: string;
  clock?: Clock;
  random?: Randomness;
  /** How long closed executions keep their history, in milliseconds. @default 24 hours */
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
   * Receives a status change. Called at least once for each, and again after a rejection or a restart until it resolves.
   * Events of one execution may arrive out of order.
   */
  onStatusChange(event: StatusChangeEvent): Promise<void>;
  log?: Log;
}
