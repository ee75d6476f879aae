import * as z from 'zod/mini';
import {
  EXPRESSION_PATTERN,
  type ResolvedSelect,
  type Select,
} from '../../../core/contract/conversion-rule.ts';
import {
  IdSchema,
  ImageNameSchema,
  LabelValueSchema,
  NameSchema,
} from '../../../core/contract/primitives.ts';

/**
 * What a selection is on an event. An expression that fails, runs too long, or gives anything but a text that could be
 * what it stands for selects nothing: it never widens what the rule says.
 */
export type Resolution =
  | { readonly kind: 'resolved'; readonly select: ResolvedSelect }
  | { readonly kind: 'nothing'; readonly reason: string };

/** Evaluation is cut off after so long, in milliseconds, so many nodes, and so deep. */
const LONGEST_MS = 1_000;
const MOST_NODES = 50_000;
const DEEPEST = 200;

const SCHEMAS = { containerId: IdSchema, name: NameSchema, image: ImageNameSchema } as const;

const expressionIn = (text: string): string => text.slice(2, -2).trim();
export const isExpression = (text: string): boolean => EXPRESSION_PATTERN.test(text);

/** A third of the code of a function that has it, and of no use before there is an expression. */
const loadJsonata = async () => (await import('jsonata')).default;

/** Why a text is no JSONata expression; null if it is one. */
export const expressionFault = async (text: string): Promise<string | null> => {
  const jsonata = await loadJsonata();
  try {
    jsonata(expressionIn(text));
    return null;
  } catch (error) {
    return (error as { message?: string }).message ?? 'is not JSONata';
  }
};

class Exhausted extends RangeError {}

/** jsonata calls these around each node that it evaluates. */
const guard = (now: () => number) => {
  const until = now() + LONGEST_MS;
  let depth = 0;
  let nodes = 0;
  const check = (change: number) => () => {
    depth += change;
    nodes += 1;
    if (depth > DEEPEST || nodes > MOST_NODES || now() > until)
      throw new Exhausted('the expression runs too long or too deep');
  };
  return [check(1), check(-1)] as const;
};

const evaluate = async (text: string, event: unknown, now: () => number): Promise<unknown> => {
  const jsonata = await loadJsonata();
  const expression = jsonata(expressionIn(text), { recover: false });
  const [entry, exit] = guard(now);
  const assign = expression.assign as unknown as (name: symbol, value: unknown) => void;
  assign(Symbol.for('jsonata.__evaluate_entry'), entry);
  assign(Symbol.for('jsonata.__evaluate_exit'), exit);
  return expression.evaluate(event);
};

class Nothing extends Error {}

const textOf = async (
  where: string,
  text: string,
  schema: z.ZodMiniType,
  event: unknown,
  now: () => number,
): Promise<string> => {
  if (!isExpression(text)) return text;
  let value: unknown;
  try {
    value = await evaluate(text, event, now);
  } catch (error) {
    throw new Nothing(`${where}: ${(error as { message?: string }).message ?? 'failed'}`);
  }
  if (typeof value !== 'string') throw new Nothing(`${where}: the event gives no text for it`);
  const given = where === 'containerId' ? value.toLowerCase() : value;
  if (!z.safeParse(schema, given).success) throw new Nothing(`${where}: the event’s text cannot be one`);
  return given;
};

/** @param now milliseconds of a clock that never goes back */
export const resolveSelect = async (
  select: Select,
  event: unknown,
  now: () => number,
): Promise<Resolution> => {
  try {
    const resolved: { -readonly [K in keyof ResolvedSelect]: ResolvedSelect[K] } = {};
    for (const key of ['containerId', 'name', 'image'] as const) {
      const text = select[key];
      if (text !== undefined) resolved[key] = await textOf(key, text, SCHEMAS[key], event, now);
    }
    if (select.labels !== undefined) {
      const labels: [string, string][] = [];
      for (const [key, text] of Object.entries(select.labels))
        labels.push([key, await textOf(`labels.${key}`, text, LabelValueSchema, event, now)]);
      resolved.labels = Object.fromEntries(labels);
    }
    return { kind: 'resolved', select: resolved };
  } catch (error) {
    if (error instanceof Nothing) return { kind: 'nothing', reason: error.message };
    throw error;
  }
};
