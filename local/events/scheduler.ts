/**
 * Fires scheduled rules. The last firing of each rule is stored in the transaction of its deliveries. After a suspend or a
 * stop, missed firings happen once. The timer never waits longer than a minute, so that clock changes are noticed.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../engine.ts';
import { nextFiring } from './cron.ts';
import type { Rule } from './rule.ts';

export const schedulerSchema = `CREATE TABLE IF NOT EXISTS schedules (
  rule_arn TEXT PRIMARY KEY, expression TEXT NOT NULL, last_fired_at INTEGER NOT NULL
) STRICT`;

const longestWaitMs = 60_000;

export class Scheduler {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #rules: () => Iterable<Rule>;
  readonly #fire: (rule: Rule, at: number, also: () => void) => void;
  #cancel: (() => void) | undefined;
  #active = false;

  /** @param fire creates the deliveries and runs `also` in the same transaction. */
  constructor(deps: {
    database: DatabaseSync;
    clock: Clock;
    rules: () => Iterable<Rule>;
    fire: (rule: Rule, at: number, also: () => void) => void;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#rules = deps.rules;
    this.#fire = deps.fire;
  }

  activate(): void {
    this.#active = true;
    this.refresh();
  }

  stop(): void {
    this.#active = false;
    this.#cancel?.();
  }

  /** Must be called after a change of rules. */
  refresh(): void {
    if (!this.#active) return;
    this.#cancel?.();
    const now = this.#clock.now();
    let wait = longestWaitMs;
    let any = false;
    for (const rule of this.#rules()) {
      const due = this.#nextOf(rule, now);
      if (due === undefined) continue;
      any = true;
      wait = Math.min(wait, due - now);
    }
    this.#cancel = any ? this.#clock.after(wait, () => this.#tick()) : undefined;
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const rule of [...this.#rules()]) {
      const due = this.#nextOf(rule, now);
      if (due === undefined || due > now) continue;
      const { schedule } = rule;
      // A rate keeps its phase: however late a firing is, the next one is a whole number of periods later.
      const late = schedule?.kind === 'rate' ? (now - this.#lastFired(rule, now)) % schedule.periodMs : 0;
      this.#fire(rule, now, () => this.#record(rule, now - late));
    }
    this.refresh();
  }

  #nextOf(rule: Rule, now: number): number | undefined {
    if (rule.schedule === undefined || !rule.enabled) return undefined;
    return nextFiring(rule.schedule, this.#lastFired(rule, now), now);
  }

  /** A new or changed schedule counts from now. */
  #lastFired(rule: Rule, now: number): number {
    const row = this.#database.prepare('SELECT * FROM schedules WHERE rule_arn = ?').get(rule.arn);
    if (row !== undefined && row.expression === rule.scheduleExpression) return Number(row.last_fired_at);
    this.#record(rule, now);
    return now;
  }

  #record(rule: Rule, at: number): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO schedules VALUES (?, ?, ?)')
      .run(rule.arn, rule.scheduleExpression ?? '', at);
  }
}
