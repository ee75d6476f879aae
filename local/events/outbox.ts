/**
 * Deliveries of events to targets: durable from the moment that PutEvents returns until the target has accepted them or
 * they are moved to the dead-letter queue.
 *
 * At least once: a delivery is deleted after its target has accepted it, so it may be repeated after a kill. Its id
 * derives from event, rule and target, so that targets can detect duplicates.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Chaos } from '../chaos.ts';
import { transaction } from '../database.ts';
import type { Clock, Log } from '../engine.ts';
import { FunctionNotFoundError, ServiceError } from '../errors.ts';
import type { BusEvent } from './event.ts';
import type { Rule, Target } from './rule.ts';
import { targetInput } from './target-input.ts';

export interface Delivery {
  readonly id: string;
  readonly ruleArn: string;
  readonly target: Target;
  readonly input: string;
  /** JSON text of the whole event. */
  readonly event: string;
  readonly createdAt: number;
  attempts: number;
}

export interface OutboxDeps {
  readonly database: DatabaseSync;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly chaos: Chaos;
  /** Accepts a delivery durably, or throws. */
  readonly deliver: (delivery: Delivery) => Promise<void>;
  readonly sendToQueue: (
    queueArn: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ) => void;
}

export const outboxSchema = `CREATE TABLE IF NOT EXISTS deliveries (
  id TEXT PRIMARY KEY, rule_arn TEXT NOT NULL, target TEXT NOT NULL, input TEXT NOT NULL, event TEXT NOT NULL,
  created_at INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL
) STRICT`;

const firstRetryMs = 100;
const longestRetryMs = 60_000;
/** How long chaos delays a delivery behind later ones. */
const heldBackMs = 150;
/** Codes after which a retry cannot succeed. */
const permanent = [
  'StateMachineDoesNotExist',
  'QueueDoesNotExist',
  'InvalidExecutionInput',
  'ValidationException',
];

/** A UUID-like name, the same for the same event, rule and target: also the name of an execution. */
export const deliveryId = (eventId: string, ruleArn: string, targetId: string): string => {
  const hex = createHash('sha256').update(`${eventId}\n${ruleArn}\n${targetId}`).digest('hex');
  return `${eventId}_${hex.slice(0, 24)}`;
};

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #remove: StatementSync;
  readonly #timers = new Map<string, () => void>();
  readonly #running = new Set<Promise<void>>();
  #active = false;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#insert = deps.database.prepare('INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, 0, ?)');
    this.#update = deps.database.prepare('UPDATE deliveries SET attempts = ?, due_at = ? WHERE id = ?');
    this.#remove = deps.database.prepare('DELETE FROM deliveries WHERE id = ?');
  }

  /** Durable when this returns. `also` runs in the same transaction. */
  accept(matched: readonly { readonly event: BusEvent; readonly rule: Rule }[], also?: () => void): void {
    const now = this.#deps.clock.now();
    const deliveries = matched.flatMap(({ event, rule }) =>
      rule.targets.map((target) => this.#prepare(event, rule, target, now)),
    );
    if (deliveries.length === 0 && also === undefined) return;
    transaction(this.#deps.database, () => {
      for (const { delivery, dueAt } of deliveries) {
        const { id, ruleArn, target, input, event } = delivery;
        this.#insert.run(id, ruleArn, JSON.stringify(target), input, event, now, dueAt);
      }
      also?.();
    });
    if (this.#active) for (const { delivery, dueAt } of deliveries) this.#schedule(delivery, dueAt);
  }

  activate(): void {
    this.#active = true;
    for (const row of this.#deps.database.prepare('SELECT * FROM deliveries ORDER BY created_at').all()) {
      const delivery: Delivery = {
        id: String(row.id),
        ruleArn: String(row.rule_arn),
        target: JSON.parse(String(row.target)) as Target,
        input: String(row.input),
        event: String(row.event),
        createdAt: Number(row.created_at),
        attempts: Number(row.attempts),
      };
      this.#schedule(delivery, Number(row.due_at));
    }
  }

  quiesce(): void {
    this.#active = false;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  async drain(): Promise<void> {
    await Promise.all(this.#running);
  }

  #prepare(event: BusEvent, rule: Rule, target: Target, now: number) {
    const delivery: Delivery = {
      id: deliveryId(event.id, rule.arn, target.id),
      ruleArn: rule.arn,
      target,
      input: targetInput(target, event, rule, now),
      event: JSON.stringify(event),
      createdAt: now,
      attempts: 0,
    };
    return { delivery, dueAt: this.#deps.chaos.reorders() ? now + heldBackMs : now };
  }

  #schedule(delivery: Delivery, dueAt: number): void {
    const cancel = this.#deps.clock.after(Math.max(0, dueAt - this.#deps.clock.now()), () => {
      this.#timers.delete(delivery.id);
      const attempt = this.#attempt(delivery).finally(() => this.#running.delete(attempt));
      this.#running.add(attempt);
    });
    this.#timers.set(delivery.id, cancel);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    delivery.attempts += 1;
    try {
      await this.#deps.deliver(delivery);
      if (this.#deps.chaos.duplicates()) await this.#deps.deliver(delivery);
      if (this.#deps.database.isOpen) this.#remove.run(delivery.id);
    } catch (error) {
      if (this.#active) this.#afterFailure(delivery, error);
    }
  }

  #afterFailure(delivery: Delivery, error: unknown): void {
    const { clock, random } = this.#deps;
    const code =
      error instanceof ServiceError || error instanceof FunctionNotFoundError ? error.code : 'InternalError';
    const hopeless = error instanceof FunctionNotFoundError || permanent.includes(code);
    const ceiling = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(delivery.attempts - 1, 20));
    const dueAt = clock.now() + ceiling / 2 + (random() * ceiling) / 2;
    const tooOld = dueAt - delivery.createdAt > delivery.target.maxAgeMs;
    if (!hopeless && !tooOld && delivery.attempts <= delivery.target.maxRetries) {
      this.#update.run(delivery.attempts, Math.round(dueAt), delivery.id);
      this.#schedule(delivery, dueAt);
      return;
    }
    this.#giveUp(delivery, code, String(error), tooOld ? 'MaximumEventAgeInSeconds' : 'MaximumRetryAttempts');
    this.#remove.run(delivery.id);
  }

  #giveUp(delivery: Delivery, code: string, message: string, condition: string): void {
    const { target, ruleArn, attempts } = delivery;
    this.#deps.log.warn('event delivery failed permanently', {
      ruleArn,
      target: target.arn,
      attempts,
      message,
    });
    if (target.deadLetterArn === undefined) return;
    this.#deps.sendToQueue(target.deadLetterArn, delivery.event, {
      RULE_ARN: ruleArn,
      TARGET_ARN: target.arn,
      ERROR_CODE: code,
      ERROR_MESSAGE: message.slice(0, 1024),
      EXHAUSTED_RETRY_CONDITION: condition,
      RETRY_ATTEMPTS: String(attempts - 1),
    });
  }
}
