import {
  type PutConversionRuleRequest,
  RULE_DEFAULTS,
  type Select,
} from '../../core/contract/conversion-rule.ts';
import { toRuntimeType } from '../../core/contract/primitives.ts';
import { ValidationError } from '../../core/domain/errors.ts';
import type { ConversionRuleRecord } from '../../store/conversion-rules.ts';
import { expressionIn, isExpression } from '../shared/selection/resolve-select.ts';
import { checkExpressions } from '../shared/selection/run-expressions.ts';
import { eventRuleNameOf } from './event-rules.ts';

interface RuleStamp {
  readonly tenant: string;
  readonly name: string;
  readonly actor: string;
  readonly at: string;
  /** The id of a new rule. */
  readonly id: string;
}

const textsOf = ({ labels = {}, ...rest }: Select): [path: string, text: string][] => [
  ...Object.entries(rest).flatMap(([key, text]): [string, string][] =>
    text === undefined ? [] : [[key, text]],
  ),
  ...Object.entries(labels).map(([key, text]): [string, string] => [
    `labels/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    text,
  ]),
];

/** @throws ValidationError with a pointer to each invalid expression */
export const checkSelect = async (tenant: string, select: Select): Promise<void> => {
  const expressions = textsOf(select).filter(([, text]) => isExpression(text));
  const faults = await checkExpressions(
    tenant,
    expressions.map(([, text]) => expressionIn(text)),
  );
  const errors = expressions.flatMap(([path], index) => {
    const fault = faults[index] ?? null;
    return fault === null
      ? []
      : [{ pointer: `/body/select/${path}`, detail: `Is not a valid expression: ${fault}` }];
  });
  if (errors.length > 0) throw new ValidationError('An expression is not valid.', { errors });
};

/** The requested rule; omitted members get the defaults of a new one. */
export const ruleOf = (
  body: PutConversionRuleRequest,
  before: ConversionRuleRecord | undefined,
  { tenant, name, actor, at, id }: RuleStamp,
): ConversionRuleRecord => ({
  ...RULE_DEFAULTS,
  description: '',
  ...Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)),
  eventPattern: body.eventPattern,
  select: body.select,
  runtimeType: toRuntimeType(body.runtimeType),
  tenant,
  name,
  actor,
  id: before?.id ?? id,
  revision: (before?.revision ?? 0) + 1,
  eventRuleName: eventRuleNameOf(tenant, name),
  createdAt: before?.createdAt ?? at,
  updatedAt: at,
});
