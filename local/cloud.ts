/**
 * The embedded cloud: loads the template of a synthesized stack and runs each of its resources.
 *
 * starting (lock → front door → create → start → activate) → running → stopping (quiesce → drain → stop → unlock).
 * A start that fails undoes what it did. Engines are stopped in the opposite order of who calls whom.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAcceptedEngine } from './accepted-engine.ts';
import { ApiGatewayEngine } from './api-gateway/api-gateway-engine.ts';
import type { Mount } from './api-gateway/listener.ts';
import { type Chaos, type ChaosOptions, createChaos, noChaos } from './chaos.ts';
import { systemClock } from './clock.ts';
import { DynamoDbEngine } from './dynamodb/dynamodb-engine.ts';
import { LoopbackServer } from './endpoint/front-door.ts';
import type {
  Clock,
  CloudContext,
  FunctionInvoker,
  InvocationResult,
  Log,
  ResourceEngine,
} from './engine.ts';
import { EngineStartError } from './errors.ts';
import { EventsEngine } from './events/events-engine.ts';
import { createInvokeApi, invokePrefix } from './lambda/invoke-api.ts';
import { LambdaEngine } from './lambda/lambda-engine.ts';
import { createFileLog } from './log-file.ts';
import { SqsEngine } from './sqs/sqs-engine.ts';
import { lockStateDirectory } from './state-directory.ts';
import { StateMachineEngine } from './state-machines/state-machine-engine.ts';
import type { StatesService } from './states/index.ts';
import { StreamsEngine } from './streams/streams-engine.ts';
import { readAssembly } from './template/assembly.ts';
import { asString, type Json } from './template/json.ts';
import { type LoadedStack, loadTemplate } from './template/load.ts';

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
    /** A DynamoDB endpoint to use instead of an own one (BULKHEAD_DYNAMODB_ENDPOINT). */
    readonly dynamoDbEndpoint?: string;
  };
  readonly chaos?: ChaosOptions;
  readonly clock?: Clock;
  /** Default: `logs/cloud.log` in the state directory. */
  readonly log?: Log;
  readonly onProgress?: (step: string) => void;
}

export interface Cloud {
  readonly outputs: Readonly<Record<string, Json>>;
  /** For the AWS CLI and SDKs. */
  readonly endpoints: Readonly<Record<'dynamodb' | 'states' | 'events' | 'lambda' | 'sqs', string>>;
  /** Of the first HTTP API, without a trailing slash. */
  readonly apiUrl: string | undefined;
  /** Of the first WebSocket API, with its stage. */
  readonly webSocketUrl: string | undefined;
  readonly resources: LoadedStack['resources'];
  readonly states: StatesService;
  /** @param functionName a name, or the logical id of the template. @throws FunctionNotFoundError */
  invoke(functionName: string, payload: unknown): Promise<InvocationResult>;
  /** Deletes expired items of tables now. */
  expireItems(): Promise<void>;
  /** Of the process that holds the tables, if there is one. */
  dynamoDbProcessId(): number | undefined;
  /** Ends what runs within 3 s, then stops everything. What was accepted and is not done comes at the next start. */
  stop(): Promise<void>;
}

const region = 'us-east-1';
const accountId = '000000000000';
const partition = 'aws';
const drainLimitMs = 3_000;

const readPort = (file: string): number => {
  try {
    return Number(JSON.parse(readFileSync(file, 'utf8'))) || 0;
  } catch {
    return 0;
  }
};

interface Engines {
  readonly accepted: ResourceEngine;
  readonly dynamodb: DynamoDbEngine;
  readonly sqs: SqsEngine;
  readonly lambda: LambdaEngine;
  readonly events: EventsEngine;
  readonly streams: StreamsEngine;
  readonly stateMachines: StateMachineEngine;
  readonly apiGateway: ApiGatewayEngine;
}

/** Functions are asked for by engines that are made before Lambda's: looked up at each call. */
const lateInvoker = (get: () => LambdaEngine): FunctionInvoker => ({
  invoke: (...args) => get().invoke(...args),
  invokeAsync: (...args) => get().invokeAsync(...args),
});

const createEngines = (
  context: CloudContext,
  options: CloudOptions,
  chaos: Chaos,
  assetPath: (objectKey: string) => string | undefined,
  publishLambda: (lambda: LambdaEngine) => void,
): Engines => {
  const { overrides = {} } = options;
  const sqs = new SqsEngine(context, chaos);
  const sendToQueue = sqs.sendTo.bind(sqs);
  const dynamodb = new DynamoDbEngine(context, overrides.dynamoDbEndpoint);
  const lambda = new LambdaEngine(context, {
    ...{ assetPath, chaos, sendToQueue },
    maxConcurrency: overrides.maxConcurrency ?? 24,
    asyncRetryDelaysMs: overrides.asyncRetryDelaysMs ?? [1_000, 2_000],
    warm: overrides.warm ?? true,
  });
  publishLambda(lambda);
  const stateMachines: StateMachineEngine = new StateMachineEngine(context, {
    putEvents: (entries) => events.service.call('PutEvents', { Entries: entries }),
    callDynamoDb: (operation, input) => dynamodb.client().call(operation, input),
    publish: (event) => events.publishFromService(event),
  });
  const events = new EventsEngine(
    context,
    { startExecution: (...args) => stateMachines.startExecution(...args), sendToQueue },
    chaos,
  );
  return {
    ...{ sqs, dynamodb, lambda, stateMachines, events },
    accepted: createAcceptedEngine(context),
    streams: new StreamsEngine(context, { source: dynamodb, chaos, sendToQueue }),
    apiGateway: new ApiGatewayEngine(context, { port: options.httpPort ?? 0, mounts: options.mounts ?? [] }),
  };
};

const addressOf = (stack: LoadedStack, protocol: string): string | undefined => {
  const resources = [...stack.resources.values()];
  const api = resources.find(
    (one) => one.type === 'AWS::ApiGatewayV2::Api' && one.properties.ProtocolType === protocol,
  );
  const stage = resources.find(
    (one) => one.type === 'AWS::ApiGatewayV2::Stage' && one.properties.ApiId === api?.identity.ref,
  );
  const name = asString(stage?.properties.StageName) ?? '$default';
  const endpoint = api?.identity.attributes.ApiEndpoint;
  return name === '$default' || endpoint === undefined ? endpoint : `${endpoint}/${name}`;
};

class RunningCloud {
  readonly #options: CloudOptions;
  readonly #log: Log & { close?(): void };
  readonly #undo: (() => void | Promise<void>)[] = [];
  #engines: Engines | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: CloudOptions) {
    this.#options = { ...options, stateDir: resolve(options.stateDir) };
    const { stateDir, clock = systemClock } = this.#options;
    this.#undo.push(lockStateDirectory(stateDir));
    const file =
      options.log === undefined ? createFileLog(join(stateDir, 'logs', 'cloud.log'), clock) : undefined;
    if (file !== undefined) this.#undo.push(() => file.close());
    this.#log = options.log ?? file ?? missing('log');
  }

  async start(): Promise<Cloud> {
    const { assemblyDir, stackName, parameters, chaos, onProgress } = this.#options;
    const assembly = readAssembly(assemblyDir, stackName);
    const frontDoor = await this.#openFrontDoor();
    const context = this.#context(assembly.stackName, frontDoor);
    const disturb = chaos === undefined ? noChaos : createChaos(chaos);
    const engines = createEngines(context, this.#options, disturb, assembly.assetPath, (lambda) => {
      this.#lambda = lambda;
    });
    this.#engines = engines;
    const all = Object.values(engines) as ResourceEngine[];
    onProgress?.('loading the template');
    const stack = await loadTemplate(
      assembly.template,
      { region, accountId, partition, stackName: assembly.stackName, ...(parameters && { parameters }) },
      all,
    );
    onProgress?.('starting the engines');
    await Promise.all(all.map((engine) => engine.start?.()));
    await engines.streams.attach();
    this.#serve(frontDoor, engines);
    onProgress?.('beginning deliveries');
    await Promise.all(all.map((engine) => engine.activate?.()));
    this.#log.info('started', { stack: assembly.stackName, resources: stack.resources.size });
    return this.#describe(stack, engines, frontDoor);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #lambda: LambdaEngine | undefined;

  async #openFrontDoor(): Promise<LoopbackServer> {
    const frontDoor = new LoopbackServer(this.#log);
    const portFile = join(this.#options.stateDir, 'front-door.json');
    const port = await frontDoor.listen(readPort(portFile));
    writeFileSync(portFile, JSON.stringify(port));
    this.#undo.push(() => frontDoor.close());
    return frontDoor;
  }

  #context(stackName: string, frontDoor: LoopbackServer): CloudContext {
    return {
      ...{ region, accountId, partition, stackName, frontDoor },
      stateDir: this.#options.stateDir,
      clock: this.#options.clock ?? systemClock,
      log: this.#log,
      newId: randomUUID,
      random: Math.random,
      functions: lateInvoker(() => this.#lambda ?? missing('Lambda')),
    };
  }

  #serve(frontDoor: LoopbackServer, engines: Engines): void {
    for (const engine of [engines.sqs, engines.events, engines.stateMachines])
      frontDoor.serve(engine.service);
    frontDoor.mount(invokePrefix, createInvokeApi(engines.lambda));
    const own = Object.fromEntries(
      ['SFN', 'EVENTBRIDGE', 'SQS', 'LAMBDA'].map((service) => [
        `AWS_ENDPOINT_URL_${service}`,
        frontDoor.url,
      ]),
    );
    const ofEngines = (Object.values(engines) as ResourceEngine[]).map(
      (engine) => engine.environment?.() ?? {},
    );
    engines.lambda.setEnvironment(Object.assign({}, own, ...ofEngines, this.#options.overrides?.environment));
  }

  #describe(stack: LoadedStack, engines: Engines, frontDoor: LoopbackServer): Cloud {
    const { url } = frontDoor;
    const { dynamodb, lambda, stateMachines } = engines;
    return {
      outputs: stack.outputs,
      resources: stack.resources,
      endpoints: {
        ...{ states: url, events: url, lambda: url, sqs: url },
        dynamodb: dynamodb.environment().AWS_ENDPOINT_URL_DYNAMODB ?? '',
      },
      apiUrl: addressOf(stack, 'HTTP'),
      webSocketUrl: addressOf(stack, 'WEBSOCKET'),
      states: stateMachines.states,
      invoke: (functionName, payload) =>
        lambda.invoke(
          stack.resources.get(functionName)?.identity.ref ?? functionName,
          JSON.stringify(payload) ?? 'null',
        ),
      expireItems: () => dynamodb.expireItems(),
      dynamoDbProcessId: () => dynamodb.processId(),
      stop: () => this.stop(),
    };
  }

  async #stop(): Promise<void> {
    const engines = this.#engines;
    if (engines !== undefined) {
      const { apiGateway, streams, events, stateMachines, lambda, sqs, dynamodb } = engines;
      const bounded = (work: Promise<unknown>[]) =>
        Promise.race([Promise.allSettled(work), sleep(drainLimitMs, undefined, { ref: false })]);
      await bounded((Object.values(engines) as ResourceEngine[]).map(async (engine) => engine.quiesce?.()));
      await bounded([lambda.drain(), events.drain()]);
      // Callers before those whom they call.
      for (const engine of [apiGateway, stateMachines, lambda, streams, events, sqs, dynamodb])
        await this.#stopOne(engine);
    }
    for (const undo of this.#undo.reverse()) await undo();
  }

  async #stopOne(engine: ResourceEngine): Promise<void> {
    try {
      await engine.stop?.();
    } catch (error) {
      this.#log.error('an engine did not stop cleanly', {
        engine: engine.constructor.name,
        error: String(error),
      });
    }
  }
}

const missing = (what: string): never => {
  throw new EngineStartError(`${what} is not there yet`);
};

/**
 * Starts the embedded cloud; under a second when the table exists.
 *
 * @throws TemplateRefusedError naming everything in the template that is not implemented
 * @throws AssemblyError, EngineStartError
 */
export const startCloud = async (options: CloudOptions): Promise<Cloud> => {
  const cloud = new RunningCloud(options);
  try {
    return await cloud.start();
  } catch (error) {
    await cloud.stop();
    throw error;
  }
};
