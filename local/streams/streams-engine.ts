/** Lambda event source mappings on DynamoDB streams. */
import { join } from 'node:path';
import type { Chaos } from '../chaos.ts';
import type { StreamSource } from '../dynamodb/dynamodb-engine.ts';
import type {
  CloudContext,
  InvocationResult,
  ResolvedResource,
  ResourceEngine,
  ResourceIdentity,
} from '../engine.ts';
import { TemplateProblem } from '../errors.ts';
import { honoured, list, metadataOnly, numberBetween, object, oneOf } from '../template/properties.ts';
import { Checkpoints } from './checkpoints.ts';
import type { BatchDeps } from './deliver-batch.ts';
import { type MappingSettings, readMappingSettings } from './mapping-settings.ts';
import { StreamConsumer } from './stream-consumer.ts';

const types = {
  'AWS::Lambda::EventSourceMapping': {
    EventSourceArn: honoured,
    FunctionName: honoured,
    Enabled: honoured,
    BatchSize: numberBetween(1, 10_000),
    MaximumBatchingWindowInSeconds: numberBetween(0, 300),
    StartingPosition: oneOf('LATEST', 'TRIM_HORIZON'),
    FilterCriteria: object({ Filters: list(object({ Pattern: honoured })) }),
    BisectBatchOnFunctionError: honoured,
    MaximumRetryAttempts: numberBetween(-1, 10_000),
    MaximumRecordAgeInSeconds: numberBetween(-1, 604_800),
    ParallelizationFactor: numberBetween(1, 10),
    FunctionResponseTypes: list(oneOf('ReportBatchItemFailures')),
    DestinationConfig: object({ OnFailure: object({ Destination: honoured }) }),
    Tags: metadataOnly,
  },
} as const;

export interface StreamsOptions {
  readonly source: StreamSource;
  readonly chaos: Chaos;
  readonly sendToQueue: (
    queueArn: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ) => void;
}

/** A failed invocation fails the batch. */
const platformFailure = (error: unknown): InvocationResult => ({
  payload: JSON.stringify({ errorType: 'InvocationFailed', errorMessage: String(error) }),
  functionError: 'Unhandled',
  requestId: '',
});

export class StreamsEngine implements ResourceEngine {
  readonly types = types;
  readonly #context: CloudContext;
  readonly #options: StreamsOptions;
  readonly #settings: MappingSettings[] = [];
  readonly #checkpoints: Checkpoints;
  readonly #consumers: StreamConsumer[] = [];

  constructor(context: CloudContext, options: StreamsOptions) {
    this.#context = context;
    this.#options = options;
    this.#checkpoints = new Checkpoints(join(context.stateDir, 'stream-checkpoints.db'));
  }

  create(resource: ResolvedResource): ResourceIdentity {
    const settings = readMappingSettings(resource);
    if (this.#options.source.tableOf(settings.streamArn) === undefined) {
      const message = `'${settings.streamArn}' is not the stream of a table here (other sources are not implemented)`;
      throw new TemplateProblem([{ property: 'EventSourceArn', message }]);
    }
    if (resource.properties.StartingPosition === undefined) {
      throw new TemplateProblem([{ property: 'StartingPosition', message: 'is required for streams' }]);
    }
    this.#settings.push(settings);
    return { ref: resource.logicalId, attributes: { Id: resource.logicalId } };
  }

  /** Must be called when the tables exist, before any write to them. */
  async attach(): Promise<void> {
    const consumers = this.#settings.filter((one) => one.enabled).map((one) => this.#consumer(one));
    await Promise.all(consumers.map((consumer) => consumer.start()));
    this.#consumers.push(...consumers);
  }

  async activate(): Promise<void> {
    for (const consumer of this.#consumers) consumer.activate();
  }

  async quiesce(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
  }

  async stop(): Promise<void> {
    this.#checkpoints.close();
  }

  #consumer(settings: MappingSettings): StreamConsumer {
    const { clock, log, region, functions } = this.#context;
    return new StreamConsumer({
      ...{ settings, clock, log, region, source: this.#options.source, checkpoints: this.#checkpoints },
      invoke: (payload) => functions.invoke(settings.functionName, payload).catch(platformFailure),
      repeats: () => this.#options.chaos.duplicates(),
      giveUp: (...args) => this.#giveUp(settings, ...args),
    });
  }

  /** The failure record of discarded records, as Lambda sends it: positions in the stream, without the data. */
  #giveUp(
    settings: MappingSettings,
    shardId: string,
    ...[records, reason, attempts, result]: Parameters<BatchDeps['giveUp']>
  ) {
    const { clock, log } = this.#context;
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) return;
    log.warn('stream records discarded', {
      mapping: settings.id,
      reason,
      records: records.length,
      result: result?.payload,
    });
    if (settings.onFailureArn === undefined) return;
    const body = {
      requestContext: {
        requestId: result?.requestId ?? '',
        functionArn: settings.functionName,
        condition: reason,
        approximateInvokeCount: attempts,
      },
      responseContext: {
        statusCode: 200,
        executedVersion: '$LATEST',
        functionError: result?.functionError ?? null,
      },
      version: '1.0',
      timestamp: new Date(clock.now()).toISOString(),
      DDBStreamBatchInfo: {
        shardId,
        startSequenceNumber: first.sequenceNumber,
        endSequenceNumber: last.sequenceNumber,
        approximateArrivalOfFirstRecord: new Date(first.createdAt).toISOString(),
        approximateArrivalOfLastRecord: new Date(last.createdAt).toISOString(),
        batchSize: records.length,
        streamArn: settings.streamArn,
      },
    };
    this.#options.sendToQueue(settings.onFailureArn, JSON.stringify(body), {});
  }
}
