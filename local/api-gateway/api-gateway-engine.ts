import { createHash } from 'node:crypto';
import { type Chaos, noChaos } from '../chaos.ts';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { EngineStartError, TemplateProblem } from '../errors.ts';
import { HttpApi } from '../http-api/http-api.ts';
import { WebSocketApi } from '../web-socket-api/web-socket-api.ts';
import { assembleApi, type KnownResource } from './assemble.ts';
import { API_GATEWAY_LIMITS, type ApiDefinition, type ApiGatewayLimits } from './definition.ts';
import { Listener, type Mount } from './listener.ts';
import { API_GATEWAY_TYPES } from './properties.ts';

export interface ApiGatewayOptions {
  /** Port of the first HTTP API and the first WebSocket API, which share it; 0 for any. Further APIs use any free port. */
  readonly port: number;
  readonly host?: string;
  readonly limits?: Partial<ApiGatewayLimits>;
  /** Injects duplicates and delays of WebSocket messages. */
  readonly chaos?: Chaos;
  /** Served on the same port as the first APIs. */
  readonly mounts?: readonly Mount[];
}

/** Time at shutdown for clients to close and for `$disconnect` to run. */
const FAREWELL_MS = 1_500;

/** Stable across restarts, because functions may have stored it. */
const stableId = (stackName: string, logicalId: string): string =>
  BigInt(`0x${createHash('sha256').update(`${stackName}/${logicalId}`).digest('hex').slice(0, 16)}`)
    .toString(36)
    .padStart(10, '0')
    .slice(-10);

interface Served {
  readonly api: KnownResource;
  readonly listener: Listener;
}

/** API Gateway v2: HTTP APIs and WebSocket APIs on Node's http and `ws`. */
export class ApiGatewayEngine implements ResourceEngine {
  readonly types = API_GATEWAY_TYPES;
  readonly #context: CloudContext;
  readonly #options: ApiGatewayOptions;
  readonly #limits: ApiGatewayLimits;
  readonly #resources: KnownResource[] = [];
  readonly #served: Served[] = [];
  readonly #listeners: Listener[] = [];

  constructor(context: CloudContext, options: ApiGatewayOptions) {
    this.#context = context;
    this.#options = options;
    this.#limits = { ...API_GATEWAY_LIMITS, ...options.limits };
  }

  async create(resource: ResolvedResource): Promise<ResourceIdentity> {
    const { stackName } = this.#context;
    const isStage = resource.type === 'AWS::ApiGatewayV2::Stage';
    const id = isStage ? String(resource.properties.StageName) : stableId(stackName, resource.logicalId);
    const known: KnownResource = { ...resource, id };
    this.#checkPayloadFormat(known);
    this.#resources.push(known);
    if (resource.type === 'AWS::ApiGatewayV2::Api') return await this.#open(known);
    const attribute = `${resource.type.replace('AWS::ApiGatewayV2::', '')}Id`;
    return { ref: id, attributes: isStage ? {} : { [attribute]: id } };
  }

  async start(): Promise<void> {
    for (const { api, listener } of this.#served)
      this.#install(assembleApi(api, this.#resources, this.#limits), listener);
  }

  /** Serves requests only now, when every engine has started. */
  async activate(): Promise<void> {
    for (const listener of this.#listeners) listener.ready();
  }

  async quiesce(): Promise<void> {
    for (const listener of this.#listeners) listener.refuse();
    await Promise.all(this.#listeners.map((listener) => listener.webSocketApi?.close(FAREWELL_MS)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  async #open(api: KnownResource): Promise<ResourceIdentity> {
    const protocol = api.properties.ProtocolType;
    const isFirst = this.#served.every((other) => other.api.properties.ProtocolType !== protocol);
    const listener = isFirst ? await this.#mainListener() : await this.#listen(0, []);
    this.#served.push({ api, listener });
    const scheme = protocol === 'WEBSOCKET' ? 'ws' : 'http';
    const { partition, region, accountId } = this.#context;
    return {
      ref: api.id,
      attributes: {
        ApiId: api.id,
        ApiEndpoint: `${scheme}://${listener.domainName}`,
        ExecutionArn: `arn:${partition}:execute-api:${region}:${accountId}:${api.id}`,
      },
    };
  }

  async #mainListener(): Promise<Listener> {
    const [main] = this.#listeners;
    return main ?? (await this.#listen(this.#options.port, this.#options.mounts ?? []));
  }

  async #listen(port: number, mounts: readonly Mount[]): Promise<Listener> {
    const listener = new Listener(this.#options.host ?? '127.0.0.1', mounts);
    await listener.listen(port);
    this.#listeners.push(listener);
    return listener;
  }

  #install(definition: ApiDefinition, listener: Listener): void {
    const deps = {
      ...this.#context,
      limits: this.#limits,
      chaos: this.#options.chaos ?? noChaos,
      domainName: listener.domainName,
      issuerLocation: (issuer: string) => this.#issuerLocation(issuer),
    };
    if (definition.stages.length === 0)
      throw new EngineStartError(`the API ${definition.apiId} has no stage, so clients cannot reach it`);
    if (definition.protocol === 'HTTP') listener.httpApi = new HttpApi(definition, deps);
    else listener.webSocketApi = new WebSocketApi(definition, deps);
  }

  /** The URL of an issuer's keys: its own URL, or the local one if it is mounted here. */
  #issuerLocation(issuer: string): string {
    const mount = this.#options.mounts?.find((one) => one.issuer === issuer);
    const [main] = this.#listeners;
    return mount === undefined || main === undefined ? issuer : `http://${main.domainName}${mount.prefix}`;
  }

  /** HTTP APIs have two event formats, WebSocket APIs one. */
  #checkPayloadFormat({ type, properties }: KnownResource): void {
    if (type !== 'AWS::ApiGatewayV2::Integration') return;
    const api = this.#resources.find(({ id }) => id === properties.ApiId);
    const wanted = api?.properties.ProtocolType === 'WEBSOCKET' ? '1.0' : '2.0';
    const given = properties.PayloadFormatVersion ?? '1.0';
    if (given === wanted) return;
    const message = `${String(given)} is not implemented for this protocol (implemented: ${wanted})`;
    throw new TemplateProblem([{ property: 'Properties.PayloadFormatVersion', message }]);
  }
}

export const createApiGatewayEngine = (context: CloudContext, options: ApiGatewayOptions): ApiGatewayEngine =>
  new ApiGatewayEngine(context, options);
