/**
 * The embedded cloud: loads the template of a synthesized stack and runs each of its resources.
 *
 * starting (lock → loopback server → create → start → activate) → running → stopping (quiesce → drain → stop → unlock).
 * A failed start undoes what it did. Engines stop before the engines that they call.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChaos, noChaos, parseChaos } from './chaos.ts';
import { systemClock } from './clock.ts';
import type { CloudOptions } from './cloud-options.ts';
import { type Credentials, loadCredentials } from './endpoint/credentials.ts';
import { LoopbackServer } from './endpoint/loopback-server.ts';
import type { Clock, CloudContext, InvocationResult, Log, ResourceEngine } from './engine.ts';
import { createEngines, type Engines } from './engines.ts';
import { createInvokeApi, invokePrefix } from './lambda/invoke-api.ts';
import { createFileLog } from './log-file.ts';
import { lockStateDirectory } from './state-directory.ts';
import type { StatesService } from './states/index.ts';
import { readAssembly } from './template/assembly.ts';
import { asString, type Json } from './template/json.ts';
import { type LoadedStack, loadTemplate } from './template/load.ts';

export type { CloudOptions } from './cloud-options.ts';

export interface Cloud {
  readonly outputs: Readonly<Record<string, Json>>;
  /** For the AWS CLI and SDKs. */
  readonly endpoints: Readonly<
    Record<'dynamodb' | 'states' | 'events' | 'lambda' | 'sqs' | 'secrets', string>
  >;
  /** Credentials for signing requests to the endpoints. */
  readonly credentials: Credentials;
  /** Region for these signatures. */
  readonly region: string;
  /** URL of the first HTTP API, without a trailing slash. */
  readonly apiUrl: string | undefined;
  /** URL of the first WebSocket API, with its stage. */
  readonly webSocketUrl: string | undefined;
  readonly resources: LoadedStack['resources'];
  readonly states: StatesService;
  /** @param functionName a name, or the logical id of the template. @throws FunctionNotFoundError */
  invoke(functionName: string, payload: unknown): Promise<InvocationResult>;
  /** Deletes expired items of tables now. */
  expireItems(): Promise<void>;
  /** Process id of the table process, if there is one. */
  dynamoDbProcessId(): number | undefined;
  /** Waits up to 3 s for running work, then stops everything. Accepted but unfinished work continues at the next start. */
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

/** Options from the environment, for those that the caller omits. @throws EngineStartError */
const withEnvironment = (options: CloudOptions): CloudOptions => {
  const { BULKHEAD_CHAOS: chaos, BULKHEAD_DYNAMODB_ENDPOINT: dynamoDbEndpoint } = process.env;
  return {
    ...(chaos && { chaos: parseChaos(chaos) }),
    ...options,
    overrides: { ...(dynamoDbEndpoint && { dynamoDbEndpoint }), ...options.overrides },
  };
};

class RunningCloud {
  readonly #options: CloudOptions;
  readonly #log: Log;
  readonly #undo: (() => void | Promise<void>)[] = [];
  #engines: Engines | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: CloudOptions) {
    this.#options = { ...withEnvironment(options), stateDir: resolve(options.stateDir) };
    const { stateDir, clock = systemClock } = this.#options;
    this.#undo.push(lockStateDirectory(stateDir));
    this.#log = options.log ?? this.#openLog(join(stateDir, 'logs', 'cloud.log'), clock);
  }

  async start(): Promise<Cloud> {
    const { assemblyDir, stackName, parameters, chaos, onProgress } = this.#options;
    const assembly = readAssembly(assemblyDir, stackName);
    const credentials = loadCredentials(this.#options.stateDir);
    const frontDoor = await this.#openFrontDoor(credentials);
    const context = this.#context(assembly.stackName, frontDoor, credentials);
    const disturb = chaos === undefined ? noChaos : createChaos(chaos);
    const engines = createEngines(context, this.#options, disturb, assembly.assetPath);
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
    return { ...this.#describe(stack, engines, frontDoor), credentials, region };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #openLog(path: string, clock: Clock): Log {
    const log = createFileLog(path, clock);
    this.#undo.push(() => log.close());
    return log;
  }

  async #openFrontDoor(credentials: Credentials): Promise<LoopbackServer> {
    const frontDoor = new LoopbackServer(this.#log, credentials);
    const portFile = join(this.#options.stateDir, 'front-door.json');
    const port = await frontDoor.listen(readPort(portFile));
    writeFileSync(portFile, JSON.stringify(port));
    this.#undo.push(() => frontDoor.close());
    return frontDoor;
  }

  #context(
    stackName: string,
    frontDoor: LoopbackServer,
    credentials: Credentials,
  ): Omit<CloudContext, 'functions'> {
    return {
      ...{ region, accountId, partition, stackName, frontDoor, credentials },
      stateDir: this.#options.stateDir,
      clock: this.#options.clock ?? systemClock,
      log: this.#log,
      newId: randomUUID,
      random: Math.random,
    };
  }

  #serve(frontDoor: LoopbackServer, engines: Engines): void {
    for (const engine of [engines.sqs, engines.events, engines.stateMachines, engines.secrets])
      frontDoor.serve(engine.service);
    frontDoor.mount(invokePrefix, createInvokeApi(engines.lambda));
    const own = Object.fromEntries(
      ['SFN', 'EVENTBRIDGE', 'SQS', 'LAMBDA', 'SECRETS_MANAGER'].map((service) => [
        `AWS_ENDPOINT_URL_${service}`,
        frontDoor.url,
      ]),
    );
    const ofEngines = (Object.values(engines) as ResourceEngine[]).map(
      (engine) => engine.environment?.() ?? {},
    );
    engines.lambda.setEnvironment(Object.assign({}, own, ...ofEngines, this.#options.overrides?.environment));
  }

  #describe(
    stack: LoadedStack,
    engines: Engines,
    frontDoor: LoopbackServer,
  ): Omit<Cloud, 'credentials' | 'region'> {
    const { url } = frontDoor;
    const { dynamodb, lambda, stateMachines } = engines;
    return {
      outputs: stack.outputs,
      resources: stack.resources,
      endpoints: {
        ...{ states: url, events: url, lambda: url, sqs: url, secrets: url },
        dynamodb: dynamodb.endpoint(),
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
      // Callers before the engines that they call.
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

/**
 * Starts the embedded cloud, in less than a second if the table exists.
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
