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
import { evaluateExpressions, type Value } from './run-expressions.ts';

/**
 * Evaluates a selection on an event. An expression that fails, takes too long, or returns anything but a valid text
 * selects nothing: it never widens the selection. The reason is a fixed sentence with the member of the selection,
 * JSONata's error code and a position in the rule's text. It contains nothing from the event.
 */
type Resolution =
  | { readonly kind: 'resolved'; readonly select: ResolvedSelect }
  | { readonly kind: 'nothing'; readonly reason: string };

/** One member of a selection; `labels` has one per key. */
interface Member {
  readonly where: string;
  readonly label: string | null;
  readonly text: string;
  readonly schema: z.ZodMiniType;
}

const SCHEMAS = { containerId: IdSchema, name: NameSchema, image: ImageNameSchema } as const;
const KEYS = Object.keys(SCHEMAS) as readonly (keyof typeof SCHEMAS)[];

export const expressionIn = (text: string): string => text.slice(2, -2).trim();
export const isExpression = (text: string): boolean => EXPRESSION_PATTERN.test(text);

const membersOf = (select: Select): Member[] => [
  ...KEYS.flatMap((key): Member[] => {
    const text = select[key];
    return text === undefined ? [] : [{ where: key, label: null, text, schema: SCHEMAS[key] }];
  }),
  ...Object.entries(select.labels ?? {}).map(([label, text]) => ({
    ...{ where: `labels.${label}`, label, text },
    schema: LabelValueSchema,
  })),
];

const faultText = ({ code, position }: { code: string | null; position: number | null }): string =>
  `the expression failed${code === null ? '' : ` with ${code}`}${position === null ? '' : ` at position ${position}`}`;

const textOf = ({ where, schema }: Member, value: Value): { text: string } | { problem: string } => {
  if ('fault' in value) return { problem: `${where}: ${faultText(value.fault)}` };
  if ('none' in value) return { problem: `${where}: the expression did not return a string` };
  const text = where === 'containerId' ? value.text.toLowerCase() : value.text;
  return z.safeParse(schema, text).success
    ? { text }
    : { problem: `${where}: the expression returned an invalid string` };
};

const nothing = (reason: string): Resolution => ({ kind: 'nothing', reason });

/** @param tenant the rule's tenant: tenants never share an evaluating process */
export const resolveSelect = async (tenant: string, select: Select, event: unknown): Promise<Resolution> => {
  const members = membersOf(select);
  const dynamic = members.filter(({ text }) => isExpression(text));
  const values = await evaluateExpressions(
    tenant,
    dynamic.map(({ text }) => expressionIn(text)),
    event,
  );
  if (values === undefined) return nothing('an expression takes too much time or memory');
  const resolved: Record<string, string> = {};
  const labels: [string, string][] = [];
  for (const member of members) {
    const value = values[dynamic.indexOf(member)] ?? { text: member.text };
    const given = isExpression(member.text) ? textOf(member, value) : { text: member.text };
    if ('problem' in given) return nothing(given.problem);
    if (member.label === null) resolved[member.where] = given.text;
    else labels.push([member.label, given.text]);
  }
  return {
    kind: 'resolved',
    select: { ...resolved, ...(select.labels !== undefined && { labels: Object.fromEntries(labels) }) },
  };
};
