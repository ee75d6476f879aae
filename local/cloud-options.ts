import type { Mount } from './api-gateway/listener.ts';
import type { ChaosOptions } from './chaos.ts';
import type { Clock, Log } from './engine.ts';

export interface CloudOptions {
  /** Directory of the cloud assembly (`cdk.out`). */
  readonly assemblyDir: string;
  /** Needed when the assembly holds several stacks. */
  readonly stackName?: string;
  /** Where everything is kept that must survive; made when missing. */
  readonly stateDir: string;
  /** Of the HTTP and WebSocket APIs; 0 (the default) for any. */
  readonly httpPort?: number;
  /** Served beside the APIs, such as the token issuer. */
  readonly mounts?: readonly Mount[];
  readonly parameters?: Readonly<Record<string, string>>;
  readonly overrides?: {
    /** Most invocations of one function at once. Default 24. */
    readonly maxConcurrency?: number;
    /** Waits before the retries of asynchronous invocations. Default 1 s and 2 s (AWS: minutes). */
    readonly asyncRetryDelaysMs?: readonly number[];
    /** Whether a worker of each function is started ahead of its first invocation. Default true. */
    readonly warm?: boolean;
    /** Further variables for every function. */
    readonly environment?: Readonly<Record<string, string>>;
    /** A DynamoDB endpoint to use instead of an own one. Default: the variable BULKHEAD_DYNAMODB_ENDPOINT. */
    readonly dynamoDbEndpoint?: string;
  };
  /** Default: what the variable BULKHEAD_CHAOS says, such as `duplicate=0.2,reorder=0.1,seed=7`; else none. */
  readonly chaos?: ChaosOptions;
  readonly clock?: Clock;
  /** Default: `logs/cloud.log` in the state directory. */
  readonly log?: Log;
  readonly onProgress?: (step: string) => void;
}
