/**
 * Rules by bus and name. Rules from the API are stored. Rules from the template are created at each start; changes to them
 * through the API last until then, like changes until the next deployment.
 */
import type { DatabaseSync } from 'node:sqlite';
import { asRecord, type Json, type JsonObject } from '../template/json.ts';
import { makeRule, type Rule, type Target } from './rule.ts';

export const ruleSchema = `CREATE TABLE IF NOT EXISTS rules (
  bus TEXT NOT NULL, name TEXT NOT NULL, rule TEXT NOT NULL, PRIMARY KEY (bus, name)
) STRICT`;

const key = (bus: string, name: string): string => `${bus}|${name}`;

/** A stored rule. The matcher and the schedule are parsed from their text after loading. */
const storable = ({
  name,
  bus,
  arn,
  description,
  enabled,
  pattern,
  scheduleExpression,
  targets,
}: Rule): string =>
  JSON.stringify({ name, bus, arn, description, enabled, pattern, scheduleExpression, targets });

const restored = (text: string): Rule => {
  const stored = asRecord(JSON.parse(text) as Json) as JsonObject & Partial<Rule>;
  return makeRule({
    name: String(stored.name),
    bus: String(stored.bus),
    arn: String(stored.arn),
    description: stored.description,
    state: stored.enabled === false ? 'DISABLED' : 'ENABLED',
    pattern: stored.pattern,
    scheduleExpression: stored.scheduleExpression,
    targets: (stored.targets ?? []) as readonly Target[],
  });
};

export class RuleStore {
  readonly #database: DatabaseSync;
  readonly #rules = new Map<string, Rule>();
  readonly #ofTemplate = new Set<string>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    for (const row of database.prepare('SELECT rule FROM rules').all()) {
      const rule = restored(String(row.rule));
      this.#rules.set(key(rule.bus, rule.name), rule);
    }
  }

  addFromTemplate(rule: Rule): void {
    this.#ofTemplate.add(key(rule.bus, rule.name));
    this.#rules.set(key(rule.bus, rule.name), rule);
    this.#database.prepare('DELETE FROM rules WHERE bus = ? AND name = ?').run(rule.bus, rule.name);
  }

  put(rule: Rule): void {
    this.#rules.set(key(rule.bus, rule.name), rule);
    if (this.#ofTemplate.has(key(rule.bus, rule.name))) return;
    this.#database
      .prepare('INSERT OR REPLACE INTO rules VALUES (?, ?, ?)')
      .run(rule.bus, rule.name, storable(rule));
  }

  delete(bus: string, name: string): void {
    this.#rules.delete(key(bus, name));
    this.#database.prepare('DELETE FROM rules WHERE bus = ? AND name = ?').run(bus, name);
  }

  get(bus: string, name: string): Rule | undefined {
    return this.#rules.get(key(bus, name));
  }

  all(): Iterable<Rule> {
    return this.#rules.values();
  }

  /** The rules of a bus, ordered by name. */
  onBus(bus: string): Rule[] {
    return [...this.#rules.values()]
      .filter((rule) => rule.bus === bus)
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }
}
