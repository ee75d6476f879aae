/** Lambda: functions from their synthesized assets, in worker threads. */
import { join } from 'node:path';
import type { Chaos } from '../chaos.ts';
import type {
  CloudContext,
  FunctionInvoker,
  ResolvedResource,
  ResourceEngine,
  ResourceIdentity,
} from '../engine.ts';
import { FunctionNotFoundError, ServiceError, TemplateProblem, ThrottledError } from '../errors.ts';
import { LogFile } from '../log-file.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import {
  accepted,
  honoured,
  list,
  map,
  metadataOnly,
  notEnforced,
  numberBetween,
  object,
  oneOf,
} from '../template/properties.ts';
import { AsyncInvocations, type AsyncSettings } from './async-invocations.ts';
import { createPool, type FunctionPool } from './function-pool.ts';
import { functionEnvironment, readFunctionSettings } from './function-settings.ts';
import { IdleWorkers } from './idle-workers.ts';

export interface LambdaOptions {
  readonly assetPath: (objectKey: string) => string | undefined;
  readonly chaos: Chaos;
  /** Maximum number of concurrent invocations of a function without reserved concurrency. */
  readonly maxConcurrency: number;
  /** Waits before the second and third attempt of an asynchronous invocation. */
  readonly asyncRetryDelaysMs: readonly number[];
  readonly sendToQueue: (
    queueArn: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ) => void;
}

const types = {
  'AWS::Lambda::Function': {
    FunctionName: honoured,
    Description: metadataOnly,
    Runtime: oneOf('nodejs24.x', 'nodejs22.x'),
    Handler: honoured,
    Code: object({ S3Bucket: accepted('the asset is read from the assembly'), S3Key: honoured }),
    Environment: object({ Variables: map(honoured) }),
    Timeout: numberBetween(1, 900),
    MemorySize: numberBetween(128, 10240),
    ReservedConcurrentExecutions: numberBetween(0, 1000),
    DeadLetterConfig: object({ TargetArn: honoured }),
    LoggingConfig: object({
      LogGroup: honoured,
      LogFormat: accepted('the output of functions is logged unchanged'),
      ApplicationLogLevel: accepted('the output of functions is logged unchanged'),
      SystemLogLevel: accepted('the output of functions is logged unchanged'),
    }),
    Architectures: list(accepted('JavaScript runs on the architecture of this machine')),
    TracingConfig: object({ Mode: accepted('there is no X-Ray on one machine') }),
    Role: notEnforced,
    KmsKeyArn: accepted('nothing is encrypted at rest on one machine'),
    RecursiveLoop: accepted('loops are not detected'),
    RuntimeManagementConfig: accepted('the runtime is the Node.js of this process'),
    Tags: metadataOnly,
  },
  'AWS::Lambda::EventInvokeConfig': {
    FunctionName: honoured,
    Qualifier: oneOf('$LATEST'),
    MaximumRetryAttempts: numberBetween(0, 2),
    MaximumEventAgeInSeconds: numberBetween(60, 21600),
    DestinationConfig: object({ OnFailure: object({ Destination: honoured }) }),
  },
  'AWS::Lambda::Permission': {
    Action: notEnforced,
    FunctionName: notEnforced,
    Principal: notEnforced,
    SourceArn: notEnforced,
    SourceAccount: notEnforced,
  },
} as const;

/** Maximum payload sizes in bytes (Lambda quotas). */
const largestSyncPayload = 6 * 1024 * 1024;
const largestAsyncPayload = 1024 * 1024;

/** `name` of `name`, `name:$LATEST`, an ARN or a partial ARN. */
const functionNameOf = (reference: string): string => {
  const parts = reference.split(':');
  const marker = parts.indexOf('function');
  return (marker === -1 ? parts[0] : parts[marker + 1]) ?? reference;
};

export class LambdaEngine implements ResourceEngine, FunctionInvoker {
  readonly types = types;
  readonly #context: CloudContext;
  readonly #options: LambdaOptions;
  readonly #pools = new Map<string, FunctionPool>();
  readonly #logs = new Map<string, LogFile>();
  readonly #invokeConfigs = new Map<string, JsonObject>();
  readonly #async: AsyncInvocations;
  readonly #idleWorkers: IdleWorkers;
  #environment: Readonly<Record<string, string>> = {};

  constructor(context: CloudContext, options: LambdaOptions) {
    this.#context = context;
    this.#options = options;
    this.#idleWorkers = new IdleWorkers(context.clock);
    this.#async = new AsyncInvocations({
      file: join(context.stateDir, 'async-invocations.db'),
      clock: context.clock,
      log: context.log,
      newId: context.newId,
      chaos: options.chaos,
      retryDelaysMs: options.asyncRetryDelaysMs,
      settings: (functionName) => this.#asyncSettings(functionName),
      invoke: (functionName, payload, requestId) => this.#pool(functionName).invoke(payload, requestId),
      sendToQueue: options.sendToQueue,
    });
  }

  create(resource: ResolvedResource): ResourceIdentity {
    switch (resource.type) {
      case 'AWS::Lambda::Function':
        return this.#createFunction(resource);
      case 'AWS::Lambda::EventInvokeConfig':
        this.#invokeConfigs.set(
          functionNameOf(String(resource.properties.FunctionName)),
          resource.properties as JsonObject,
        );
        return { ref: resource.logicalId, attributes: {} };
      default:
        return { ref: resource.logicalId, attributes: {} };
    }
  }

  #createFunction(resource: ResolvedResource): ResourceIdentity {
    const { assetPath, maxConcurrency } = this.#options;
    const settings = readFunctionSettings(resource, this.#context, {
      assetPath,
      defaultConcurrency: maxConcurrency,
    });
    if (this.#pools.has(settings.name)) {
      throw new TemplateProblem([
        { property: 'FunctionName', message: `the name '${settings.name}' is already in use` },
      ]);
    }
    const file = new LogFile(join(this.#context.stateDir, 'logs', `${settings.name}.log`));
    this.#logs.set(settings.name, file);
    const log = (text: string) => file.append(text);
    const { clock, newId, region, stateDir, credentials } = this.#context;
    const pool = createPool(settings, { clock, newId, log, idleWorkers: this.#idleWorkers }, () => ({
      ...{ clock, log },
      environment: functionEnvironment(settings, region, this.#environment, credentials),
      compileCache: join(stateDir, 'compile-cache'),
    }));
    this.#pools.set(settings.name, pool);
    return { ref: settings.name, attributes: { Arn: settings.arn } };
  }

  /** Variables of every function, in addition to its own. Set before the first invocation. */
  setEnvironment(environment: Readonly<Record<string, string>>): void {
    this.#environment = environment;
  }

  async activate(): Promise<void> {
    this.#async.activate();
  }

  async quiesce(): Promise<void> {
    this.#async.quiesce();
  }

  /** Resolves when no invocation runs or waits. */
  async drain(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.drain()));
    await this.#async.drain();
  }

  async stop(): Promise<void> {
    this.#async.quiesce();
    this.#idleWorkers.stop();
    await Promise.all([...this.#pools.values()].map((pool) => pool.stop()));
    this.#async.close();
    for (const log of this.#logs.values()) log.close();
  }

  async invoke(functionName: string, payload: string, signal?: AbortSignal) {
    const pool = this.#pool(functionName);
    if (Buffer.byteLength(payload) > largestSyncPayload) throw tooLarge(largestSyncPayload);
    if (pool.isFull) throw new ThrottledError(functionName);
    const result = pool.invoke(payload);
    if (signal === undefined) return result;
    signal.throwIfAborted();
    let abandon = () => {};
    const abandoned = new Promise<never>((_resolve, reject) => {
      abandon = () => reject(signal.reason);
      signal.addEventListener('abort', abandon, { once: true });
    });
    return Promise.race([result, abandoned]).finally(() => signal.removeEventListener('abort', abandon));
  }

  async invokeAsync(functionName: string, payload: string): Promise<string> {
    const { settings } = this.#pool(functionName);
    if (Buffer.byteLength(payload) > largestAsyncPayload) throw tooLarge(largestAsyncPayload);
    return this.#async.accept(settings.name, payload);
  }

  #pool(functionName: string): FunctionPool {
    const pool = this.#pools.get(functionNameOf(functionName));
    if (pool === undefined) throw new FunctionNotFoundError(functionName);
    return pool;
  }

  #asyncSettings(functionName: string): AsyncSettings | undefined {
    const settings = this.#pools.get(functionName)?.settings;
    if (settings === undefined) return undefined;
    const config = this.#invokeConfigs.get(functionName) ?? {};
    const onFailure = asRecord(asRecord(config.DestinationConfig).OnFailure);
    return {
      functionArn: settings.arn,
      maxRetries: Number(config.MaximumRetryAttempts ?? 2),
      maxAgeMs: Number(config.MaximumEventAgeInSeconds ?? 21_600) * 1000,
      onFailureArn: asString(onFailure.Destination),
      deadLetterArn: settings.deadLetterArn,
    };
  }
}

const tooLarge = (limit: number) =>
  new ServiceError('RequestTooLargeException', `Request must be smaller than ${limit} bytes`, 413);
