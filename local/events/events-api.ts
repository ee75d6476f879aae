/** The EventBridge API (`AWSEvents`, AWS JSON 1.1) over rules, buses and the outbox. */
import { ServiceError } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';
import { type BusEvent, busNameOf, readEntries, readEntry } from './event.ts';
import { compilePattern, InvalidPatternError } from './patterns/index.ts';
import { makeRule, type Rule, readTarget, type Target } from './rule.ts';
import type { RuleStore } from './rule-store.ts';

export interface EventsApiDeps {
  readonly rules: RuleStore;
  readonly buses: ReadonlyMap<string, string>;
  readonly account: string;
  readonly region: string;
  readonly now: () => number;
  readonly newId: () => string;
  readonly ruleArn: (bus: string, name: string) => string;
  /** Durable when this returns. */
  readonly publish: (events: readonly { readonly bus: string; readonly event: BusEvent }[]) => void;
  readonly rulesChanged: () => void;
}

type Operation = (input: JsonObject) => JsonObject;

/** Maximum number of targets of a rule, and of rules of a bus (EventBridge quotas). */
const mostTargets = 5;
const mostRules = 300;

const limitExceeded = (): ServiceError =>
  new ServiceError('LimitExceededException', 'The requested resource exceeds the maximum number allowed.');

const rulePayload = (rule: Rule): JsonObject => ({
  Name: rule.name,
  Arn: rule.arn,
  EventBusName: rule.bus,
  State: rule.enabled ? 'ENABLED' : 'DISABLED',
  ...(rule.description !== undefined && { Description: rule.description }),
  ...(rule.pattern !== undefined && { EventPattern: rule.pattern }),
  ...(rule.scheduleExpression !== undefined && { ScheduleExpression: rule.scheduleExpression }),
});

const targetPayload = (target: Target): JsonObject => ({
  Id: target.id,
  Arn: target.arn,
  ...(target.input !== undefined && { Input: target.input }),
  ...(target.inputPath !== undefined && { InputPath: target.inputPath }),
  ...(target.inputTransformer !== undefined && { InputTransformer: target.inputTransformer }),
  RetryPolicy: { MaximumRetryAttempts: target.maxRetries, MaximumEventAgeInSeconds: target.maxAgeMs / 1000 },
  ...(target.deadLetterArn !== undefined && { DeadLetterConfig: { Arn: target.deadLetterArn } }),
});

const notFound = (message: string) => new ServiceError('ResourceNotFoundException', message);
const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

class EventsApi {
  readonly operations: Readonly<Record<string, Operation>>;
  readonly #deps: EventsApiDeps;

  constructor(deps: EventsApiDeps) {
    this.#deps = deps;
    this.operations = {
      PutEvents: (input) => this.#putEvents(input),
      TestEventPattern: (input) => this.#testPattern(input),
      PutRule: (input) => this.#putRule(input),
      DescribeRule: (input) => rulePayload(this.#rule(input)),
      DeleteRule: (input) => this.#deleteRule(input),
      EnableRule: (input) => this.#setEnabled(input, true),
      DisableRule: (input) => this.#setEnabled(input, false),
      ListRules: (input) => this.#listRules(input),
      PutTargets: (input) => this.#putTargets(input),
      RemoveTargets: (input) => this.#removeTargets(input),
      ListTargetsByRule: (input) => ({ Targets: this.#rule(input, 'Rule').targets.map(targetPayload) }),
      ListEventBuses: () => ({ EventBuses: [...deps.buses].map(([Name, Arn]) => ({ Name, Arn })) }),
      DescribeEventBus: (input) => {
        const bus = this.#bus(input.Name);
        return { Name: bus, Arn: deps.buses.get(bus) ?? '' };
      },
    };
  }

  #bus(reference: Json | undefined): string {
    const bus = busNameOf(asString(reference));
    if (!this.#deps.buses.has(bus)) throw notFound(`Event bus ${bus} does not exist.`);
    return bus;
  }

  #rule(input: JsonObject, field = 'Name'): Rule {
    const bus = this.#bus(input.EventBusName);
    const name = asString(input[field]) ?? '';
    const rule = this.#deps.rules.get(bus, name);
    if (rule === undefined) throw notFound(`Rule ${name} does not exist on EventBus ${bus}.`);
    return rule;
  }

  #store(rule: Rule): void {
    this.#deps.rules.put(rule);
    this.#deps.rulesChanged();
  }

  #putEvents(input: JsonObject): JsonObject {
    const { now, newId, account, region } = this.#deps;
    const accepted: { bus: string; event: BusEvent }[] = [];
    let failed = 0;
    const Entries = readEntries(input).map((entry): JsonObject => {
      try {
        const bus = this.#bus(entry.EventBusName);
        const event = readEntry(entry, { now: now(), id: newId(), account, region });
        accepted.push({ bus, event });
        return { EventId: event.id };
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        failed += 1;
        return { ErrorCode: error.code, ErrorMessage: error.message };
      }
    });
    this.#deps.publish(accepted);
    return { FailedEntryCount: failed, Entries };
  }

  #testPattern(input: JsonObject): JsonObject {
    try {
      const matches = compilePattern(asString(input.EventPattern) ?? '');
      return { Result: matches(JSON.parse(asString(input.Event) ?? '')) };
    } catch (error) {
      if (error instanceof InvalidPatternError) {
        throw new ServiceError(
          'InvalidEventPatternException',
          `Event pattern is not valid. Reason: ${error.message}`,
        );
      }
      if (error instanceof SyntaxError)
        throw new ServiceError('ValidationException', 'Parameter Event is not valid.');
      throw error;
    }
  }

  #putRule(input: JsonObject): JsonObject {
    const bus = this.#bus(input.EventBusName);
    const name = asString(input.Name) ?? '';
    if (!/^[.\-_A-Za-z0-9]{1,64}$/.test(name)) {
      throw new ServiceError('ValidationException', `Value '${name}' at 'name' failed to satisfy constraint`);
    }
    const isNew = this.#deps.rules.get(bus, name) === undefined;
    if (isNew && this.#deps.rules.onBus(bus).length >= mostRules) throw limitExceeded();
    const rule = makeRule({
      ...{ name, bus, arn: this.#deps.ruleArn(bus, name), description: asString(input.Description) },
      state: asString(input.State),
      pattern: asString(input.EventPattern),
      scheduleExpression: asString(input.ScheduleExpression),
      targets: this.#deps.rules.get(bus, name)?.targets ?? [],
    });
    this.#store(rule);
    return { RuleArn: rule.arn };
  }

  #deleteRule(input: JsonObject): JsonObject {
    const bus = this.#bus(input.EventBusName);
    const name = asString(input.Name) ?? '';
    // Deleting a missing rule is not an error, as in EventBridge.
    if ((this.#deps.rules.get(bus, name)?.targets.length ?? 0) > 0) {
      throw new ServiceError('ValidationException', "Rule can't be deleted since it has targets.");
    }
    this.#deps.rules.delete(bus, name);
    this.#deps.rulesChanged();
    return {};
  }

  #setEnabled(input: JsonObject, enabled: boolean): JsonObject {
    this.#store({ ...this.#rule(input), enabled });
    return {};
  }

  #listRules(input: JsonObject): JsonObject {
    const prefix = asString(input.NamePrefix) ?? '';
    const rules = this.#deps.rules
      .onBus(this.#bus(input.EventBusName))
      .filter((rule) => rule.name.startsWith(prefix));
    const from = Number(input.NextToken ?? 0);
    const limit = Number(input.Limit ?? 100);
    const more = rules.length > from + limit && { NextToken: String(from + limit) };
    return { Rules: rules.slice(from, from + limit).map(rulePayload), ...more };
  }

  #putTargets(input: JsonObject): JsonObject {
    const rule = this.#rule(input, 'Rule');
    const added = list(input.Targets).map((target) => readTarget(asRecord(target)));
    const kept = rule.targets.filter((target) => !added.some((one) => one.id === target.id));
    if (kept.length + added.length > mostTargets) {
      throw limitExceeded();
    }
    this.#store({ ...rule, targets: [...kept, ...added] });
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  #removeTargets(input: JsonObject): JsonObject {
    const rule = this.#rule(input, 'Rule');
    const ids = list(input.Ids).map(String);
    this.#store({ ...rule, targets: rule.targets.filter((target) => !ids.includes(target.id)) });
    return { FailedEntryCount: 0, FailedEntries: [] };
  }
}

/** @returns the handler of one operation. @throws ServiceError */
export const createEventsApi = (
  deps: EventsApiDeps,
): ((operation: string, input: JsonObject) => JsonObject) => {
  const { operations } = new EventsApi(deps);
  return (operation, input) => {
    const implementation = Object.hasOwn(operations, operation) ? operations[operation] : undefined;
    if (implementation === undefined) {
      throw new ServiceError('UnknownOperationException', `EventBridge ${operation} is not implemented`);
    }
    return implementation(input);
  };
};
