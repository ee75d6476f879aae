import type { Mount } from './api-gateway/listener.ts';
import type { ChaosOptions } from './chaos.ts';
import type { Clock, Log } from './engine.ts';

export interface CloudOptions {
  /** Directory of the cloud assembly (`cdk.out`). */
  readonly assemblyDir: string;
  /** Required if the assembly has several stacks. */
  readonly stackName?: string;
  /** Folder for all persistent state; created if missing. */
  readonly stateDir: string;
  /** Port of the HTTP and WebSocket APIs; 0 (the default) for any. */
  readonly httpPort?: number;
  /** Services on the port of the APIs, such as the token issuer. */
  readonly mounts?: readonly Mount[];
  readonly parameters?: Readonly<Record<string, string>>;
  readonly overrides?: {
    /** Maximum number of concurrent invocations of one function. Default 24. */
    readonly maxConcurrency?: number;
    /** Waits before the retries of asynchronous invocations. Default 1 s and 2 s (AWS: minutes). */
    readonly asyncRetryDelaysMs?: readonly number[];
    /** Additional variables for every function. */
    readonly environment?: Readonly<Record<string, string>>;
    /** A DynamoDB endpoint to use instead of the embedded one. Default: the variable BULKHEAD_DYNAMODB_ENDPOINT. */
    readonly dynamoDbEndpoint?: string;
  };
  /** Default: the value of the variable BULKHEAD_CHAOS, such as `duplicate=0.2,reorder=0.1,seed=7`; else none. */
  readonly chaos?: ChaosOptions;
  readonly clock?: Clock;
  /** Default: `logs/cloud.log` in the state directory. */
  readonly log?: Log;
  readonly onProgress?: (step: string) => void;
}
