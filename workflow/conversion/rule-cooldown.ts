import type { RuntimeType } from '../../core/contract/primitives.ts';
import { isCooling, isIsolatedByRule, type RunKey } from '../../store/rule-runs.ts';
import type { Table } from '../../store/table.ts';

interface RuleOnContainer extends Pick<RunKey, 'tenant' | 'ruleId'> {
  readonly containerId: string;
  readonly to: RuntimeType;
  readonly cooldownSeconds: number;
}

/**
 * Why a rule skips a container for now; null if it does not.
 *
 * - `cooldown`: this rule converted the container less than `cooldownSeconds` ago.
 * - `flapping`: a rule isolated the container recently, and this rule would undo that. This keeps two rules from
 *   converting a container back and forth. A conversion to HyperV is never delayed: isolation has priority.
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
