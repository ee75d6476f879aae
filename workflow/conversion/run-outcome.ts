import type { RunItem } from '../../core/contract/conversion-rule.ts';
import type { OperationRecord } from '../../store/operations.ts';

/** The outcome of an ended operation, as the rule run that requested it records it. */
export const outcomeOf = ({
  id,
  view,
}: OperationRecord): Pick<RunItem, 'outcome' | 'operationId' | 'why'> => ({
  outcome: view.state === 'Succeeded' ? 'converted' : 'failed',
  operationId: id,
  why: view.error?.code ?? null,
});
