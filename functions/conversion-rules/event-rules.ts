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

/** Conversion rules as rules of the bus. All calls are idempotent. */
export interface EventRules {
  /** Creates or updates the rule. @throws ValidationError if EventBridge refuses the pattern, ConflictError if the bus is full */
  put(rule: ConversionRuleRecord): Promise<void>;
  /** Deletes the rule, if it exists. */
  remove(eventRuleName: string): Promise<void>;
  /** Whether a pattern matches an event. @throws ValidationError if EventBridge refuses either */
  test(pattern: object, event: object): Promise<boolean>;
}

interface EventRulesOptions {
  readonly bus: string;
  readonly machineArn: string;
  /** The role with which EventBridge starts the machine. */
  readonly roleArn: string;
  readonly deadLettersArn: string;
}

const TARGET = 'convert-by-rule';
/** Maximum age of an event: older findings are no longer relevant. It also bounds late duplicates. */
const EVENT_SECONDS = 3600;

/** A stable name that is unique per tenant and rule name, whatever characters the names contain. */
export const eventRuleNameOf = (tenant: string, name: string): string =>
  `${EVENT_RULE_PREFIX}${createHash('sha256')
    .update(JSON.stringify([tenant, name]))
    .digest('hex')
    .slice(0, 40)}`;

/** Callers share the account's quota of the EventBridge API, so they are asked to retry instead of getting an error 500. */
const rethrowBusy = (error: unknown): never => {
  if ((error as Error).name !== 'ThrottlingException') throw error;
  throw new TooBusyError('EventBridge is throttling calls at the moment.', { cause: error });
};

const REFUSALS = ['InvalidEventPatternException', 'ValidationException'];

/** EventBridge's quota on the rules of a bus, which all tenants share. */
const isFull = (error: unknown): boolean => (error as Error).name === 'LimitExceededException';

const busIsFull = (cause: unknown): ConflictError =>
  new ConflictError('rules-exhausted', 'The event bus has reached EventBridge’s limit of rules.', {
    suggestion:
      'Remove rules that are no longer needed, or ask the operator to raise the quota “Rules per event bus” of EventBridge.',
    cause,
  });

const refusedAt = (pointer: string, error: unknown): unknown => {
  const { name, message } = error as Error;
  return REFUSALS.includes(name)
    ? new ValidationError('EventBridge rejected the request.', {
        errors: [{ pointer, detail: message }],
        cause: error,
      })
    : error;
};

/** Tenant and rule are constants here. The content of the event stays below `event`. */
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
      if (FailedEntryCount > 0) throw new TooBusyError('EventBridge did not accept the target of the rule.');
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
