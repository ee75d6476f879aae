/** EventBridge: buses, rules, schedules, and durable delivery to targets. */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Chaos } from '../chaos.ts';
import { openDatabase } from '../database.ts';
import type { JsonService } from '../endpoint/json-service.ts';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { ServiceError, TemplateProblem } from '../errors.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import {
  accepted,
  honoured,
  list,
  metadataOnly,
  notEnforced,
  numberBetween,
  object,
  oneOf,
} from '../template/properties.ts';
import { type BusEvent, busNameOf, isoSeconds } from './event.ts';
import { createEventsApi } from './events-api.ts';
import { type Delivery, Outbox, outboxSchema } from './outbox.ts';
import { makeRule, type Rule, readTarget } from './rule.ts';
import { RuleStore, ruleSchema } from './rule-store.ts';
import { Scheduler, schedulerSchema } from './scheduler.ts';

/** Targets of events. Each accepts a delivery durably, or throws. */
export interface EventTargets {
  /** A repeated start with the same name must have no effect. @throws ServiceError */
  startExecution(stateMachineArn: string, name: string, input: string): Promise<void>;
  sendToQueue(queueArn: string, body: string, attributes: Readonly<Record<string, string>>): void;
  /** Never throws. */
  sendDeadLetter(queueArn: string, body: string, attributes: Readonly<Record<string, string>>): void;
}

const types = {
  'AWS::Events::EventBus': {
    Name: honoured,
    Description: metadataOnly,
    KmsKeyIdentifier: accepted('nothing is encrypted at rest on one machine'),
    LogConfig: accepted('deliveries are not logged'),
    Policy: notEnforced,
    Tags: metadataOnly,
  },
  'AWS::Events::EventBusPolicy': {
    EventBusName: notEnforced,
    StatementId: notEnforced,
    Statement: notEnforced,
    Action: notEnforced,
    Principal: notEnforced,
    Condition: notEnforced,
  },
  'AWS::Events::Rule': {
    Name: honoured,
    Description: metadataOnly,
    EventBusName: honoured,
    EventPattern: honoured,
    ScheduleExpression: honoured,
    State: oneOf('ENABLED', 'DISABLED'),
    RoleArn: notEnforced,
    Tags: metadataOnly,
    Targets: list(
      object({
        Id: honoured,
        Arn: honoured,
        RoleArn: notEnforced,
        Input: honoured,
        InputPath: honoured,
        InputTransformer: object({ InputPathsMap: honoured, InputTemplate: honoured }),
        RetryPolicy: object({
          MaximumEventAgeInSeconds: numberBetween(60, 86_400),
          MaximumRetryAttempts: numberBetween(0, 185),
        }),
        DeadLetterConfig: object({ Arn: honoured }),
      }),
    ),
  },
} as const;

export class EventsEngine implements ResourceEngine {
  readonly types = types;
  readonly service: JsonService;
  readonly #context: CloudContext;
  readonly #targets: EventTargets;
  readonly #database: DatabaseSync;
  readonly #rules: RuleStore;
  readonly #outbox: Outbox;
  readonly #scheduler: Scheduler;
  readonly #buses = new Map<string, string>();

  constructor(context: CloudContext, targets: EventTargets, chaos: Chaos) {
    this.#context = context;
    this.#targets = targets;
    const { clock, log, random, newId, region, accountId } = context;
    const database = openDatabase(
      join(context.stateDir, 'events.db'),
      [outboxSchema, ruleSchema, schedulerSchema].join(';'),
    );
    this.#database = database;
    this.#rules = new RuleStore(database);
    this.#buses.set('default', this.#busArn('default'));
    this.#outbox = new Outbox({
      ...{ database, clock, log, random, chaos },
      deliver: (delivery) => this.#deliver(delivery),
      sendToQueue: targets.sendDeadLetter,
    });
    this.#scheduler = new Scheduler({
      ...{ database, clock },
      rules: () => this.#rules.all(),
      fire: (rule, at, also) => this.#outbox.accept([{ rule, event: this.#scheduledEvent(rule, at) }], also),
    });
    const call = createEventsApi({
      ...{ rules: this.#rules, buses: this.#buses, account: accountId, region, newId },
      now: () => clock.now(),
      ruleArn: (bus, name) => this.#ruleArn(bus, name),
      publish: (events) => this.#publish(events),
      rulesChanged: () => this.#scheduler.refresh(),
    });
    this.service = { prefix: 'AWSEvents', call: async (operation, input) => call(operation, input) };
  }

  create(resource: ResolvedResource): ResourceIdentity {
    const properties = resource.properties as JsonObject;
    switch (resource.type) {
      case 'AWS::Events::EventBus': {
        const name = asString(properties.Name) ?? resource.logicalId;
        this.#buses.set(name, this.#busArn(name));
        return { ref: name, attributes: { Arn: this.#busArn(name), Name: name } };
      }
      case 'AWS::Events::Rule':
        return this.#createRule(resource, properties);
      default:
        return { ref: resource.logicalId, attributes: {} };
    }
  }

  #createRule(resource: ResolvedResource, properties: JsonObject): ResourceIdentity {
    const name = asString(properties.Name) ?? `${this.#context.stackName}-${resource.logicalId}`;
    const bus = busNameOf(asString(properties.EventBusName));
    const arn = this.#ruleArn(bus, name);
    const pattern =
      properties.EventPattern === undefined ? undefined : JSON.stringify(properties.EventPattern);
    try {
      const rule = makeRule({
        ...{ name, bus, arn, pattern },
        state: asString(properties.State),
        scheduleExpression: asString(properties.ScheduleExpression),
        targets: (Array.isArray(properties.Targets) ? properties.Targets : []).map((target) =>
          readTarget(asRecord(target)),
        ),
      });
      this.#rules.addFromTemplate(rule);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      throw new TemplateProblem([{ property: '', message: error.message }]);
    }
    return { ref: bus === 'default' ? name : `${bus}|${name}`, attributes: { Arn: arn } };
  }

  async activate(): Promise<void> {
    this.#outbox.activate();
    this.#scheduler.activate();
  }

  async quiesce(): Promise<void> {
    this.#scheduler.stop();
    this.#outbox.quiesce();
  }

  async drain(): Promise<void> {
    await this.#outbox.drain();
  }

  async stop(): Promise<void> {
    await this.quiesce();
    if (this.#database.isOpen) this.#database.close();
  }

  /** An event of a service of the embedded cloud, such as a state machine's status change. Durable when this returns. */
  publishFromService(event: BusEvent): void {
    this.#publish([{ bus: 'default', event }]);
  }

  #publish(events: readonly { readonly bus: string; readonly event: BusEvent }[]): void {
    const rules = [...this.#rules.all()];
    const matched = events.flatMap(({ bus, event }) =>
      rules
        .filter((rule) => rule.enabled && rule.bus === bus && rule.matches?.(event) === true)
        .map((rule) => ({ event, rule })),
    );
    this.#outbox.accept(matched);
  }

  async #deliver({ id, target, input }: Delivery): Promise<void> {
    switch (target.kind) {
      case 'lambda':
        await this.#context.functions.invokeAsync(target.arn, input);
        break;
      case 'states':
        await this.#targets.startExecution(target.arn, id, input);
        break;
      case 'sqs':
        this.#targets.sendToQueue(target.arn, input, {});
    }
  }

  #scheduledEvent(rule: Rule, at: number): BusEvent {
    const { newId, accountId, region } = this.#context;
    return {
      version: '0',
      id: newId(),
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: accountId,
      time: isoSeconds(at),
      region,
      resources: [rule.arn],
      detail: {},
    };
  }

  #busArn(name: string): string {
    const { partition, region, accountId } = this.#context;
    return `arn:${partition}:events:${region}:${accountId}:event-bus/${name}`;
  }

  #ruleArn(bus: string, name: string): string {
    const { partition, region, accountId } = this.#context;
    return `arn:${partition}:events:${region}:${accountId}:rule/${bus === 'default' ? '' : `${bus}/`}${name}`;
  }
}
