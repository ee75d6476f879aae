import type { RunItem } from '../../core/contract/conversion-rule.ts';
import type { OperationRecord } from '../../store/records.ts';

/** What an operation that has ended comes to in the run that asked for it. */
export const outcomeOf = ({
  id,
  view,
}: OperationRecord): Pick<RunItem, 'outcome' | 'operationId' | 'why'> => ({
  outcome: view.state === 'Succeeded' ? 'converted' : 'failed',
  operationId: id,
  why: view.error?.code ?? null,
});
