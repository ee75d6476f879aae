import { type CfnElement, Duration, Stack } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import { EventBus, type IEventBus, Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  EventInvokeConfig,
  EventSourceMapping,
  type IFunction,
  StartingPosition,
} from 'aws-cdk-lib/aws-lambda';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ENTITY_ATTRIBUTE, EVENT_RULE_PREFIX } from '../../core/contract/deployment.ts';
import { acknowledge } from './acknowledge.ts';

export interface EventsProps {
  readonly busName: string;
  readonly table: Table;
}

export interface EventFunctions {
  readonly processChanges: IFunction;
  readonly admitWaiting: IFunction;
  readonly settle: IFunction;
  readonly sweep: IFunction;
}

/** Entities whose changes are published; other items are internal. */
const PUBLISHED_ENTITIES = ['container', 'operation', 'host', 'image', 'session', 'refusedCommand'];

/** The finding of cdk-nag on a grant on conversion rules. It contains the logical id of the bus. */
export const conversionRulesFinding = (bus: IEventBus): string => {
  const id = Stack.of(bus).getLogicalId(bus.node.defaultChild as CfnElement);
  const rules = `rule/<${id}>/${EVENT_RULE_PREFIX}*`;
  return `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:${rules}]`;
};

const newImage = (entities: readonly string[]) => ({
  eventName: ['INSERT', 'MODIFY'],
  dynamodb: { NewImage: { [ENTITY_ATTRIBUTE]: { S: entities } } },
});
const removed = (entities: readonly string[]) => ({
  eventName: ['REMOVE'],
  dynamodb: { OldImage: { [ENTITY_ATTRIBUTE]: { S: entities } } },
});

/**
 * The triggers of the control plane other than requests: the table's stream, ended executions, the schedule; and the bus on
 * which it publishes events.
 *
 * Created in two steps, because functions need permissions on the bus, the stream and the queues before they can be
 * invoked: the constructor creates those, {@link connect} the triggers.
 */
export class Events extends Construct {
  readonly bus: EventBus;
  /** Whatever could not be processed. One queue, because an alarm on each would cost more than the queues. */
  readonly deadLetters: Queue;
  readonly #table: Table;

  constructor(scope: Construct, id: string, props: EventsProps) {
    super(scope, id);
    this.#table = props.table;
    this.bus = new EventBus(this, 'Bus', {
      eventBusName: props.busName,
      description: 'Events of Bulkhead’s containers, hosts, images and operations',
    });
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'This is a dead-letter queue.', 'AwsSolutions-SQS3');
    this.deadLetters.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [this.deadLetters.queueArn],
        conditions: { ArnLike: { 'aws:SourceArn': this.conversionRulesArn } },
      }),
    );
  }

  /** The permissions of a function that reads the stream and sends failed records to the queue. */
  streamStatements(): PolicyStatement[] {
    return [
      new PolicyStatement({
        actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
        resources: [this.#table.tableStreamArn ?? ''],
      }),
      new PolicyStatement({ actions: ['dynamodb:ListStreams'], resources: ['*'] }),
      this.sendStatement(),
    ];
  }

  sendStatement(): PolicyStatement {
    return new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [this.deadLetters.queueArn] });
  }

  /** The permissions to create and delete conversion rules on the bus, and no other rules. */
  ruleStatements(roleArn: string): PolicyStatement[] {
    return [
      new PolicyStatement({
        actions: ['events:PutRule', 'events:DeleteRule', 'events:PutTargets', 'events:RemoveTargets'],
        resources: [this.conversionRulesArn],
      }),
      new PolicyStatement({ actions: ['events:TestEventPattern'], resources: ['*'] }),
      new PolicyStatement({
        actions: ['iam:PassRole'],
        resources: [roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'events.amazonaws.com' } },
      }),
    ];
  }

  /** The bus rules of conversion rules. Their names are known only once they are created. */
  get conversionRulesArn(): string {
    const resourceName = `${this.bus.eventBusName}/${EVENT_RULE_PREFIX}*`;
    return Stack.of(this).formatArn({ service: 'events', resource: 'rule', resourceName });
  }

  /** Connects the functions to their triggers. Call once. */
  connect(functions: EventFunctions, stateMachineArns: readonly string[]): void {
    this.#feed('Changes', functions.processChanges, [
      newImage(PUBLISHED_ENTITIES),
      removed(PUBLISHED_ENTITIES),
    ]);
    this.#feed('Admission', functions.admitWaiting, [newImage(['host'])]);
    this.#settleEndedExecutions(functions.settle, stateMachineArns);
    this.#sweepEveryMinute(functions.sweep);
  }

  #feed(id: string, handler: IFunction, filters: readonly object[]): void {
    new EventSourceMapping(this, id, {
      target: handler,
      eventSourceArn: this.#table.tableStreamArn,
      // Changes from before the mapping existed, or while it was being created, are not lost.
      startingPosition: StartingPosition.TRIM_HORIZON,
      batchSize: 100,
      filters: filters.map((filter) => ({ pattern: JSON.stringify(filter) })),
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      retryAttempts: 10,
      maxRecordAge: Duration.hours(12),
      onFailure: { bind: () => ({ destination: this.deadLetters.queueArn }) },
    });
  }

  /** The machines settle their own failures. This settles executions that could not: aborted, timed out, Settle failed. */
  #settleEndedExecutions(settle: IFunction, stateMachineArns: readonly string[]): void {
    new EventInvokeConfig(this, 'SettlementInvocations', {
      function: settle,
      retryAttempts: 2,
      maxEventAge: Duration.hours(6),
      onFailure: { bind: () => ({ destination: this.deadLetters.queueArn }) },
    });
    new Rule(this, 'ExecutionEnded', {
      description: 'Settles executions that ended without success',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: { status: ['ABORTED', 'TIMED_OUT', 'FAILED'], stateMachineArn: [...stateMachineArns] },
      },
      targets: [
        new LambdaFunction(settle, {
          deadLetterQueue: this.deadLetters,
          maxEventAge: Duration.hours(6),
          retryAttempts: 185,
        }),
      ],
    });
  }

  #sweepEveryMinute(sweep: IFunction): void {
    // The next sweep compensates for a lost one. Two at once would do the same work twice.
    new EventInvokeConfig(this, 'SweepInvocations', {
      function: sweep,
      retryAttempts: 0,
      maxEventAge: Duration.minutes(1),
    });
    new Rule(this, 'EveryMinute', {
      description: 'Expired leases, lost pushes, overdue work',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [
        new LambdaFunction(sweep, {
          maxEventAge: Duration.minutes(1),
          retryAttempts: 0,
        }),
      ],
    });
  }
}
