import { createHash } from 'node:crypto';
import {
  DeleteRuleCommand,
  type EventBridgeClient,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
  TestEventPatternCommand,
} from '@aws-sdk/client-eventbridge';
import { EVENT_RULE_PREFIX } from '../../core/contract/deployment.ts';
import { ConflictError, TooBusyError, ValidationError } from '../../core/domain/errors.ts';
import type { ConversionRuleRecord } from '../../store/conversion-rules.ts';
import { boundPattern } from './bound-pattern.ts';

/** Rules of conversion as rules of the bus. Each call can be made again. */
export interface EventRules {
  /** Makes the rule, or makes it what it is now. @throws ValidationError if EventBridge refuses the pattern, ConflictError if the bus is full */
  put(rule: ConversionRuleRecord): Promise<void>;
  /** Removes it; one that is not there is removed. */
  remove(eventRuleName: string): Promise<void>;
  /** Whether a pattern lets an event through. @throws ValidationError if EventBridge refuses either */
  test(pattern: object, event: object): Promise<boolean>;
}

export interface EventRulesOptions {
  readonly bus: string;
  readonly machineArn: string;
  /** With which EventBridge starts the machine. */
  readonly roleArn: string;
  readonly deadLettersArn: string;
}

const TARGET = 'convert-by-rule';
/** A finding that is hours old is not news; and an event comes again at most so late. */
const EVENT_SECONDS = 3600;

/** The same for a tenant's rule of that name always, and no other's: nothing of a name can make it another's. */
export const eventRuleNameOf = (tenant: string, name: string): string =>
  `${EVENT_RULE_PREFIX}${createHash('sha256')
    .update(JSON.stringify([tenant, name]))
    .digest('hex')
    .slice(0, 40)}`;

/** The quota of EventBridge's API is the account's: who exceeds it is to come back, not told of a fault. */
const rethrowBusy = (error: unknown): never => {
  if ((error as Error).name !== 'ThrottlingException') throw error;
  throw new TooBusyError('EventBridge takes no more calls at the moment.', { cause: error });
};

const REFUSALS = ['InvalidEventPatternException', 'ValidationException'];

/** EventBridge's quota on the rules of a bus, which all tenants share. */
const isFull = (error: unknown): boolean => (error as Error).name === 'LimitExceededException';

const busIsFull = (cause: unknown): ConflictError =>
  new ConflictError('rules-exhausted', 'The event bus has as many rules as EventBridge allows.', {
    suggestion:
      'Remove rules that are no longer needed, or ask the operator to raise the quota “Rules per event bus” of EventBridge.',
    cause,
  });

const refusedAt = (pointer: string, error: unknown): unknown => {
  const { name, message } = error as Error;
  return REFUSALS.includes(name)
    ? new ValidationError('EventBridge refuses it.', { errors: [{ pointer, detail: message }], cause: error })
    : error;
};

/** Tenant and rule are constants here: whatever an event holds, it stays beneath `event`. */
const inputTemplate = ({ tenant, name, id }: ConversionRuleRecord): string =>
  `{"tenant":${JSON.stringify(tenant)},"rule":${JSON.stringify(name)},"ruleId":${JSON.stringify(id)},` +
  '"event":<aws.events.event.json>}';

export const createEventRules = (client: EventBridgeClient, options: EventRulesOptions): EventRules => {
  const { bus, machineArn, roleArn, deadLettersArn } = options;

  const remove = async (eventRuleName: string): Promise<void> => {
    const rule = { EventBusName: bus };
    try {
      await client
        .send(new RemoveTargetsCommand({ ...rule, Rule: eventRuleName, Ids: [TARGET] }))
        .catch(rethrowBusy);
      await client.send(new DeleteRuleCommand({ ...rule, Name: eventRuleName })).catch(rethrowBusy);
    } catch (error) {
      if ((error as Error).name !== 'ResourceNotFoundException') throw error;
    }
  };

  return {
    put: async (rule) => {
      const { eventRuleName: Name, eventPattern, enabled, tenant, name } = rule;
      try {
        await client
          .send(
            new PutRuleCommand({
              Name,
              EventBusName: bus,
              EventPattern: JSON.stringify(boundPattern(eventPattern, tenant)),
              State: enabled ? 'ENABLED' : 'DISABLED',
              Description: `Bulkhead: conversion rule ${name} of tenant ${tenant}`,
            }),
          )
          .catch(rethrowBusy);
      } catch (error) {
        throw isFull(error) ? busIsFull(error) : refusedAt('/body/eventPattern', error);
      }
      const { FailedEntryCount = 0 } = await client
        .send(
          new PutTargetsCommand({
            Rule: Name,
            EventBusName: bus,
            Targets: [
              {
                Id: TARGET,
                Arn: machineArn,
                RoleArn: roleArn,
                InputTransformer: { InputTemplate: inputTemplate(rule) },
                RetryPolicy: { MaximumEventAgeInSeconds: EVENT_SECONDS, MaximumRetryAttempts: 185 },
                DeadLetterConfig: { Arn: deadLettersArn },
              },
            ],
          }),
        )
        .catch(rethrowBusy);
      if (FailedEntryCount > 0) throw new TooBusyError('EventBridge did not take the target of the rule.');
    },
    remove,
    test: async (pattern, event) => {
      try {
        const { Result = false } = await client
          .send(
            new TestEventPatternCommand({
              EventPattern: JSON.stringify(pattern),
              Event: JSON.stringify(event),
            }),
          )
          .catch(rethrowBusy);
        return Result;
      } catch (error) {
        throw refusedAt('/body/event', error);
      }
    },
  };
};
