import type { ConversionRule, RuleRun, RunItem } from '../../core/contract/conversion-rule.ts';
import { type Colour, colourOfState } from '../output/colours.ts';
import type { Field } from '../output/fields.ts';
import { instant } from '../output/format.ts';
import type { Column } from '../output/table.ts';

const state = ({ enabled, dryRun }: ConversionRule): string => {
  if (!enabled) return 'Disabled';
  return dryRun ? 'DryRun' : 'Enabled';
};

const selection = ({ select }: ConversionRule): string =>
  Object.entries(select)
    .map(([by, value]) => `${by}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');

export const RULE_COLUMNS: readonly Column<ConversionRule>[] = [
  { header: 'Name', value: ({ name }) => name },
  { header: 'State', value: state },
  { header: 'RuntimeType', value: ({ runtimeType }) => runtimeType },
  { header: 'MaxContainers', value: ({ maxContainers }) => String(maxContainers), right: true },
  { header: 'Select', value: selection, flexible: true },
];

export const ruleFields = (rule: ConversionRule): readonly Field[] => [
  ['Name', rule.name],
  ['Description', rule.description === '' ? null : rule.description],
  ['State', state(rule)],
  ['RuntimeType', rule.runtimeType],
  ['EventPattern', JSON.stringify(rule.eventPattern)],
  ['Select', selection(rule)],
  ['MaxContainers', rule.maxContainers],
  ['MaxConcurrency', rule.maxConcurrency],
  ['CooldownSeconds', rule.cooldownSeconds],
  ['EventRuleName', rule.eventRuleName],
  ['CreatedAt', instant(rule.createdAt)],
  ['UpdatedAt', instant(rule.updatedAt)],
  ['Revision', rule.revision],
];

const count = (of: 'matched' | 'converted' | 'skipped' | 'failed') => ({
  value: (run: RuleRun) => String(run[of]),
  right: true,
});

export const RUN_COLUMNS: readonly Column<RuleRun>[] = [
  { header: 'Started', value: ({ startedAt }) => instant(startedAt) },
  { header: 'State', value: (run) => run.state, colour: (run) => colourOfState(run.state) },
  { header: 'Matched', ...count('matched') },
  { header: 'Converted', ...count('converted') },
  { header: 'Skipped', ...count('skipped') },
  { header: 'Failed', ...count('failed') },
  {
    header: 'Note',
    value: ({ reason, truncated }) =>
      reason ?? (truncated ? 'stopped at the maximum number of containers' : ''),
    flexible: true,
  },
];

const OUTCOME_COLOURS: Readonly<Record<RunItem['outcome'], Colour>> = {
  converted: 'green',
  skipped: 'yellow',
  failed: 'red',
};

export const RUN_ITEM_COLUMNS: readonly Column<RunItem>[] = [
  { header: 'Name', value: ({ name }) => name },
  { header: 'Outcome', value: ({ outcome }) => outcome, colour: ({ outcome }) => OUTCOME_COLOURS[outcome] },
  { header: 'Reason', value: ({ why }) => why ?? '' },
  { header: 'Operation', value: ({ operationId }) => operationId ?? '', flexible: true },
];
