/**
 * The input of a target: the event, a part of it, a constant, or a template filled from it.
 * Source: EventBridge User Guide, "Amazon EventBridge input transformation".
 */
import { asRecord, asString, isJsonObject, type Json, type JsonObject } from '../template/json.ts';
import type { BusEvent } from './event.ts';
import type { Rule, Target } from './rule.ts';

/** Follows `$.detail.items[0]['a key']`. Undefined if nothing is there. */
export const selectPath = (value: Json, path: string): Json | undefined => {
  let current: Json | undefined = value;
  for (const [, dotted, quoted, index] of path.slice(1).matchAll(/\.([\w-]+)|\['([^']*)'\]|\[(\d+)\]/g)) {
    if (index !== undefined) current = Array.isArray(current) ? current[Number(index)] : undefined;
    else current = isJsonObject(current) ? current[dotted ?? quoted ?? ''] : undefined;
  }
  return current;
};

/** Whether `selectPath` supports the whole path. */
export const isPath = (path: string): boolean => /^\$(\.[\w-]+|\['[^']*'\]|\[\d+\])*$/.test(path);

const insideQuotes = (value: Json | undefined): string => {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return JSON.stringify(text).slice(1, -1);
};

const fill = (template: string, variables: ReadonlyMap<string, Json | undefined>): string => {
  let quoted = false;
  // Each match is a placeholder, an escaped character, or a quote that opens or closes a string.
  return template.replace(/<([\w.-]+)>|\\.|"/g, (all, name: string | undefined) => {
    if (all === '"') quoted = !quoted;
    if (name === undefined || !variables.has(name)) return all;
    const value = variables.get(name);
    return quoted ? insideQuotes(value) : JSON.stringify(value ?? null);
  });
};

const jsonOf = (event: BusEvent): JsonObject => ({ ...event, resources: [...event.resources] });

const transform = (transformer: JsonObject, event: BusEvent, rule: Rule, now: number): string => {
  const json = jsonOf(event);
  const variables = new Map<string, Json | undefined>([
    ['aws.events.rule-arn', rule.arn],
    ['aws.events.rule-name', rule.name],
    ['aws.events.event.ingestion-time', new Date(now).toISOString()],
    ['aws.events.event.json', json],
    ['aws.events.event', Object.fromEntries(Object.entries(json).filter(([key]) => key !== 'detail'))],
  ]);
  for (const [name, path] of Object.entries(asRecord(transformer.InputPathsMap))) {
    variables.set(name, selectPath(json, String(path)));
  }
  return fill(asString(transformer.InputTemplate) ?? '', variables);
};

/** JSON text. A template can also produce plain text, which is passed on unchanged. */
export const targetInput = (target: Target, event: BusEvent, rule: Rule, now: number): string => {
  if (target.input !== undefined) return target.input;
  if (target.inputTransformer !== undefined) return transform(target.inputTransformer, event, rule, now);
  const json = jsonOf(event);
  if (target.inputPath !== undefined) return JSON.stringify(selectPath(json, target.inputPath) ?? null);
  return JSON.stringify(json);
};
