/** SQS standard queues, through the service's JSON protocol. */
import { join } from 'node:path';
import type { Chaos } from '../chaos.ts';
import type { JsonService } from '../endpoint/json-service.ts';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { ServiceError } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';
import {
  accepted,
  honoured,
  metadataOnly,
  notEnforced,
  numberBetween,
  object,
  oneOf,
} from '../template/properties.ts';
import { attributesMd5, type MessageAttributes, md5 } from './message-checksum.ts';
import { QueueStore, type ReceivedMessage } from './queue-store.ts';

const encryption = accepted('nothing is encrypted at rest on one machine');
const types = {
  'AWS::SQS::Queue': {
    QueueName: honoured,
    FifoQueue: oneOf(false),
    VisibilityTimeout: numberBetween(0, 43_200),
    MessageRetentionPeriod: numberBetween(60, 1_209_600),
    DelaySeconds: numberBetween(0, 900),
    MaximumMessageSize: numberBetween(1024, 1_048_576),
    ReceiveMessageWaitTimeSeconds: numberBetween(0, 20),
    RedrivePolicy: object({ deadLetterTargetArn: honoured, maxReceiveCount: numberBetween(1, 1000) }),
    RedriveAllowPolicy: notEnforced,
    SqsManagedSseEnabled: encryption,
    KmsMasterKeyId: encryption,
    KmsDataKeyReusePeriodSeconds: encryption,
    Tags: metadataOnly,
  },
  'AWS::SQS::QueuePolicy': { PolicyDocument: notEnforced, Queues: notEnforced },
} as const;

const mostAtOnce = 10;

const seconds = (value: Json | undefined): number | undefined =>
  value === undefined || value === null ? undefined : Number(value) * 1000;

export class SqsEngine implements ResourceEngine {
  readonly types = types;
  readonly store: QueueStore;
  readonly service: JsonService;
  readonly #context: CloudContext;
  /** Ends long polls. */
  readonly #closing = new AbortController();

  constructor(context: CloudContext, chaos: Chaos) {
    this.#context = context;
    const { clock, newId } = context;
    this.store = new QueueStore(join(context.stateDir, 'queues.db'), { clock, newId, chaos });
    this.service = { prefix: 'AmazonSQS', call: (operation, input) => this.#call(operation, input) };
  }

  create(resource: ResolvedResource): ResourceIdentity {
    if (resource.type !== 'AWS::SQS::Queue') return { ref: resource.logicalId, attributes: {} };
    const properties = resource.properties as JsonObject;
    const { stackName, partition, region, accountId } = this.#context;
    const name = asString(properties.QueueName) ?? `${stackName}-${resource.logicalId}`;
    const arn = `arn:${partition}:sqs:${region}:${accountId}:${name}`;
    const redrive = asRecord(properties.RedrivePolicy);
    this.store.add({
      name,
      arn,
      visibilityTimeoutMs: seconds(properties.VisibilityTimeout) ?? 30_000,
      retentionMs: seconds(properties.MessageRetentionPeriod) ?? 345_600_000,
      delayMs: seconds(properties.DelaySeconds) ?? 0,
      waitMs: seconds(properties.ReceiveMessageWaitTimeSeconds) ?? 0,
      maximumBytes: Number(properties.MaximumMessageSize ?? 1_048_576),
      redrive:
        redrive.deadLetterTargetArn === undefined
          ? undefined
          : {
              deadLetterArn: String(redrive.deadLetterTargetArn),
              maxReceiveCount: Number(redrive.maxReceiveCount),
            },
    });
    return { ref: this.#url(name), attributes: { Arn: arn, QueueName: name, QueueUrl: this.#url(name) } };
  }

  /** For dead letters and event targets. Durable when this returns. @throws ServiceError */
  sendTo(queueArn: string, body: string, attributes: Readonly<Record<string, string>> = {}): void {
    const typed = Object.entries(attributes).map(([name, value]) => [
      name,
      { DataType: 'String', StringValue: value },
    ]);
    this.store.send(this.store.queueByArn(queueArn).name, body, Object.fromEntries(typed));
  }

  async quiesce(): Promise<void> {
    this.#closing.abort();
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    this.store.close();
  }

  #url(name: string): string {
    return `${this.#context.frontDoor.url}/${this.#context.accountId}/${name}`;
  }

  async #call(operation: string, input: JsonObject): Promise<JsonObject> {
    switch (operation) {
      case 'GetQueueUrl':
        return { QueueUrl: this.#url(this.store.queue(String(input.QueueName)).name) };
      case 'ListQueues': {
        const prefix = asString(input.QueueNamePrefix) ?? '';
        return {
          QueueUrls: this.store
            .names()
            .filter((name) => name.startsWith(prefix))
            .map((name) => this.#url(name)),
        };
      }
      default:
        return this.#callOn(String(input.QueueUrl).split('/').at(-1) ?? '', operation, input);
    }
  }

  async #callOn(name: string, operation: string, input: JsonObject): Promise<JsonObject> {
    switch (operation) {
      case 'SendMessage':
        return this.#send(name, input);
      case 'SendMessageBatch':
        return batch(input, (entry) => this.#send(name, entry));
      case 'ReceiveMessage':
        return this.#receive(name, input);
      case 'DeleteMessage':
        this.store.delete(name, String(input.ReceiptHandle));
        return {};
      case 'DeleteMessageBatch':
        return batch(input, (entry) => {
          this.store.delete(name, String(entry.ReceiptHandle));
          return {};
        });
      case 'ChangeMessageVisibility':
        this.store.changeVisibility(name, String(input.ReceiptHandle), seconds(input.VisibilityTimeout) ?? 0);
        return {};
      case 'PurgeQueue':
        this.store.purge(name);
        return {};
      case 'GetQueueAttributes':
        return { Attributes: this.#attributes(name, input.AttributeNames) };
      default:
        throw new ServiceError('InvalidAction', `SQS ${operation} is not implemented`);
    }
  }

  #send(name: string, input: JsonObject): JsonObject {
    const attributes = attributesIn(asRecord(input.MessageAttributes));
    const body = String(input.MessageBody ?? '');
    const id = this.store.send(name, body, attributes, seconds(input.DelaySeconds));
    const sum = Object.keys(attributes).length > 0 && { MD5OfMessageAttributes: attributesMd5(attributes) };
    return { MessageId: id, MD5OfMessageBody: md5(body), ...sum };
  }

  async #receive(name: string, input: JsonObject): Promise<JsonObject> {
    const limit = Number(input.MaxNumberOfMessages ?? 1);
    if (!(limit >= 1 && limit <= mostAtOnce)) {
      throw new ServiceError('InvalidParameterValue', 'MaxNumberOfMessages must be between 1 and 10');
    }
    const waitMs = seconds(input.WaitTimeSeconds) ?? this.store.queue(name).waitMs;
    const { signal } = this.#closing;
    const visibility = seconds(input.VisibilityTimeout);
    const messages = await this.store.receiveWaiting(name, limit, waitMs, visibility, signal);
    return messages.length === 0 ? {} : { Messages: messages.map(asMessage) };
  }

  #attributes(name: string, wanted: Json | undefined): JsonObject {
    const settings = this.store.queue(name);
    const counts = this.store.counts(name);
    const all: JsonObject = {
      ApproximateNumberOfMessages: String(counts.visible),
      ApproximateNumberOfMessagesNotVisible: String(counts.inFlight),
      ApproximateNumberOfMessagesDelayed: String(counts.delayed),
      QueueArn: settings.arn,
      VisibilityTimeout: String(settings.visibilityTimeoutMs / 1000),
      MessageRetentionPeriod: String(settings.retentionMs / 1000),
      DelaySeconds: String(settings.delayMs / 1000),
      ReceiveMessageWaitTimeSeconds: String(settings.waitMs / 1000),
      MaximumMessageSize: String(settings.maximumBytes),
    };
    const names = Array.isArray(wanted) ? wanted.map(String) : [];
    return Object.fromEntries(
      Object.entries(all).filter(([key]) => names.includes('All') || names.includes(key)),
    );
  }
}

const attributesIn = (given: JsonObject): MessageAttributes =>
  Object.fromEntries(
    Object.entries(given).map(([name, attribute]) => {
      const { DataType, StringValue, BinaryValue } = asRecord(attribute);
      return [
        name,
        {
          DataType: asString(DataType) ?? '',
          ...(typeof StringValue === 'string' && { StringValue }),
          ...(typeof BinaryValue === 'string' && { BinaryValue }),
        },
      ];
    }),
  );

const asMessage = (message: ReceivedMessage): JsonObject => ({
  MessageId: message.id,
  ReceiptHandle: message.receipt,
  MD5OfBody: md5(message.body),
  Body: message.body,
  Attributes: {
    SentTimestamp: String(message.sentAt),
    ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
    ApproximateReceiveCount: String(message.receiveCount),
    SenderId: 'local',
  },
  ...(Object.keys(message.attributes).length > 0 && {
    MessageAttributes: Object.fromEntries(
      Object.entries(message.attributes).map(([name, attribute]) => [name, { ...attribute }]),
    ),
    MD5OfMessageAttributes: attributesMd5(message.attributes),
  }),
});

/** Each entry succeeds or fails separately, as in SQS. */
const batch = (input: JsonObject, one: (entry: JsonObject) => JsonObject): JsonObject => {
  const entries = Array.isArray(input.Entries) ? input.Entries.map(asRecord) : [];
  if (entries.length === 0)
    throw new ServiceError('EmptyBatchRequest', 'There should be at least one entry in the request.');
  if (entries.length > mostAtOnce)
    throw new ServiceError('TooManyEntriesInBatchRequest', 'Maximum number of entries per request are 10.');
  const Successful: JsonObject[] = [];
  const Failed: JsonObject[] = [];
  for (const entry of entries) {
    const Id = String(entry.Id);
    try {
      Successful.push({ Id, ...one(entry) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      Failed.push({ Id, Code: error.code, Message: error.message, SenderFault: true });
    }
  }
  return { Successful, Failed };
};
