/** DynamoDB: tables on dynoxide, or on the endpoint that BULKHEAD_DYNAMODB_ENDPOINT names. */
import { type FSWatcher, watch } from 'node:fs';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { EngineStartError } from '../errors.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import { accepted, honoured, list, metadataOnly, object, oneOf } from '../template/properties.ts';
import { createDynamoClient, type DynamoClient } from './dynamo-client.ts';
import { type DynoxideProcess, startDynoxide } from './dynoxide-process.ts';
import { createSweeper, ExpiryIndex, type Sweeper } from './expire-items.ts';
import { createForward } from './forward.ts';
import { createStreamIndexes } from './stream-indexes.ts';
import { ensureTable } from './table.ts';

const unthrottled = accepted('capacity is not limited on one machine');
const indexProperties = {
  IndexName: honoured,
  KeySchema: honoured,
  Projection: honoured,
};
const types = {
  'AWS::DynamoDB::Table': {
    TableName: honoured,
    AttributeDefinitions: honoured,
    KeySchema: honoured,
    BillingMode: oneOf('PAY_PER_REQUEST'),
    OnDemandThroughput: unthrottled,
    WarmThroughput: unthrottled,
    GlobalSecondaryIndexes: list(
      object({
        ...indexProperties,
        OnDemandThroughput: unthrottled,
        WarmThroughput: unthrottled,
        ContributorInsightsSpecification: accepted('nothing is monitored on one machine'),
      }),
    ),
    LocalSecondaryIndexes: list(object(indexProperties)),
    StreamSpecification: object({ StreamViewType: honoured }),
    TimeToLiveSpecification: object({ AttributeName: honoured, Enabled: honoured }),
    DeletionProtectionEnabled: honoured,
    PointInTimeRecoverySpecification: accepted('there are no backups on one machine'),
    SSESpecification: accepted('nothing is encrypted at rest on one machine'),
    ContributorInsightsSpecification: accepted('nothing is monitored on one machine'),
    TableClass: accepted('affects only the price'),
    Tags: metadataOnly,
  },
} as const;

/** Access to streams for the event source mappings. */
export interface StreamSource {
  /** @returns the table whose stream this is. */
  tableOf(streamArn: string): string | undefined;
  client(): DynamoClient;
  /** Calls back soon after any write. @returns undefined if writes cannot be observed: then poll. */
  watch(listener: () => void): (() => void) | undefined;
}

export class DynamoDbEngine implements ResourceEngine, StreamSource {
  readonly types = types;
  readonly #context: CloudContext;
  readonly #external: string | undefined;
  readonly #tables = new Map<string, ResolvedResource>();
  readonly #streams = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  #process: DynoxideProcess | undefined;
  #client: DynamoClient | undefined;
  #sweeper: Sweeper | undefined;
  #expiry: ExpiryIndex | undefined;
  #watcher: FSWatcher | undefined;
  #closeForward = () => {};

  /** @param externalEndpoint used instead of the embedded process. */
  constructor(context: CloudContext, externalEndpoint?: string) {
    this.#context = context;
    this.#external = externalEndpoint;
  }

  create(resource: ResolvedResource): ResourceIdentity {
    const { partition, region, accountId, stackName } = this.#context;
    const name = asString(resource.properties.TableName) ?? `${stackName}-${resource.logicalId}`;
    this.#tables.set(name, resource);
    const arn = `arn:${partition}:dynamodb:${region}:${accountId}:table/${name}`;
    if (resource.properties.StreamSpecification === undefined) return { ref: name, attributes: { Arn: arn } };
    const streamArn = `${arn}/stream/local`;
    this.#streams.set(streamArn, name);
    return { ref: name, attributes: { Arn: arn, StreamArn: streamArn } };
  }

  async start(): Promise<void> {
    if (this.#tables.size === 0) return;
    if (this.#external === undefined)
      this.#process = await startDynoxide(this.#context.stateDir, this.#context.log);
    if (this.#process !== undefined) createStreamIndexes(this.#process.databaseFile);
    this.#client = createDynamoClient(this.#external ?? this.#ownEndpoint());
    this.#open();
    const client = this.#client;
    await Promise.all([...this.#tables].map(([name, resource]) => ensureTable(client, name, resource)));
    if (this.#process === undefined) return;
    this.#expiry = this.#indexExpiry(this.#process.databaseFile);
    this.#watch(this.#process.directory);
  }

  /**
   * Functions call the process directly: a call through the loopback server costs the event loop of this process 0.4 ms,
   * and each start makes about 20.
   */
  environment(): Record<string, string> {
    if (this.#tables.size === 0) return {};
    const url = this.#external ?? this.#ownEndpoint();
    return { AWS_ENDPOINT_URL_DYNAMODB: url, AWS_ENDPOINT_URL_DYNAMODB_STREAMS: url };
  }

  async activate(): Promise<void> {
    const [dynoxide, index] = [this.#process, this.#expiry];
    if (dynoxide === undefined || index === undefined) return;
    const { clock, log } = this.#context;
    this.#sweeper = createSweeper({ clock, log, index, management: () => dynoxide.management });
    this.#sweeper.start();
  }

  async quiesce(): Promise<void> {
    this.#sweeper?.stop();
  }

  async stop(): Promise<void> {
    this.#sweeper?.stop();
    this.#watcher?.close();
    this.#expiry?.close();
    this.#client?.close();
    this.#closeForward();
    await this.#process?.stop();
  }

  /** Endpoint for callers outside of this process: the loopback server, or the external endpoint. */
  endpoint(): string {
    return this.#external ?? this.#context.frontDoor.url;
  }

  /** The process does not check signatures, so its address is not published: only functions get it. */
  #ownEndpoint(): string {
    if (this.#process === undefined) throw new EngineStartError('DynamoDB has not been started');
    return this.#process.endpoint;
  }

  #open(): void {
    if (this.#external !== undefined) return;
    const { forward, close } = createForward(() => this.#ownEndpoint());
    for (const prefix of ['DynamoDB_20120810', 'DynamoDBStreams_20120810'])
      this.#context.frontDoor.forward(prefix, forward);
    this.#closeForward = close;
  }

  /** Process id of dynoxide, if there is one. */
  processId(): number | undefined {
    return this.#process?.pid();
  }

  /** Deletes expired items now instead of at the next sweep. */
  async expireItems(): Promise<void> {
    await this.#sweeper?.sweep();
  }

  tableOf(streamArn: string): string | undefined {
    return this.#streams.get(streamArn);
  }

  /** @throws EngineStartError before `start`. */
  client(): DynamoClient {
    if (this.#client === undefined) throw new EngineStartError('DynamoDB has not been started');
    return this.#client;
  }

  watch(listener: () => void): (() => void) | undefined {
    if (this.#watcher === undefined) return undefined;
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #indexExpiry(databaseFile: string): ExpiryIndex {
    const index = new ExpiryIndex(databaseFile);
    for (const [name, { properties }] of this.#tables) {
      const { AttributeName, Enabled } = asRecord((properties as JsonObject).TimeToLiveSpecification);
      const enabled = Enabled === true || Enabled === 'true';
      if (enabled && typeof AttributeName === 'string') index.add(name, AttributeName);
    }
    return index;
  }

  /** Every commit writes to the write-ahead log next to the file. The kernel reports the write within microseconds. */
  #watch(directory: string): void {
    const failed = (error: unknown) => {
      this.#context.log.warn('watching the tables failed; their streams are polled instead', {
        error: String(error),
      });
      this.#watcher = undefined;
    };
    try {
      this.#watcher = watch(directory, () => {
        for (const listener of this.#listeners) listener();
      });
      this.#watcher.on('error', failed);
    } catch (error) {
      // For example, the system has no inotify watches left.
      failed(error);
    }
  }
}
