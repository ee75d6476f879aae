import type { RuntimeType } from '../../core/contract/primitives.ts';
import { isCooling, isIsolatedByRule, type RunKey } from '../../store/rule-runs.ts';
import type { Table } from '../../store/table.ts';

export interface RuleOnContainer extends Pick<RunKey, 'tenant' | 'ruleId'> {
  readonly containerId: string;
  readonly to: RuntimeType;
  readonly cooldownSeconds: number;
}

/**
 * Why a rule leaves a container alone for now; null if it doesn't.
 *
 * - `cooldown`: this rule has converted it less than its `cooldownSeconds` ago.
 * - `flapping`: some rule has isolated it lately, and this one would undo that. Two rules can so never convert a
 *   container back and forth. A conversion to HyperV is never held back: isolation goes first.
 */
export const reasonToSkip = async (
  table: Table,
  { tenant, ruleId, containerId, to, cooldownSeconds }: RuleOnContainer,
  now: Date,
): Promise<'cooldown' | 'flapping' | null> => {
  if (cooldownSeconds > 0 && (await isCooling(table, { tenant, ruleId }, containerId, now)))
    return 'cooldown';
  if (to === 'Default' && (await isIsolatedByRule(table, tenant, containerId, now))) return 'flapping';
  return null;
};
