import { WORKFLOW_ERRORS, type WorkflowStepEvent } from '../../core/contract/deployment.ts';
import { StepFailedError } from '../../core/domain/errors.ts';
import { rememberDowntime } from '../../store/downtimes.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { WorkflowDependencies } from '../../workflow/dependencies.ts';
import type { Logger } from '../../workflow/logger.ts';
import { commitOperation } from '../../workflow/operation/commit-operation.ts';
import type { Metrics } from '../shared/observability/metrics.ts';

interface CommitOperationDependencies extends WorkflowDependencies {
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** The state machine matches the error by this name. */
class SupersededError extends StepFailedError {
  override readonly name = WORKFLOW_ERRORS.superseded;
}

/** Stored for the next dry run. A failure to write it has no other effect. */
const noteDowntime = async (
  { table, logger }: CommitOperationDependencies,
  operation: OperationRecord,
): Promise<void> => {
  try {
    await rememberDowntime(table, operation);
  } catch (error) {
    logger.warn('downtime not stored', { operationId: operation.id }, error);
  }
};

/** The last step of every workflow. @throws SupersededError if the operation no longer has the container */
export const createCommitOperationHandler =
  (deps: CommitOperationDependencies) =>
  async (event: WorkflowStepEvent): Promise<void> => {
    const outcome = await commitOperation(deps, event);
    if (outcome.kind === 'superseded')
      throw new SupersededError('operation-aborted', 'The operation no longer has the container.');
    if (outcome.kind === 'already-ended') return;
    await noteDowntime(deps, outcome.operation);
    const { kind, createdAt, endedAt } = outcome.operation.view;
    const took = (Date.parse(endedAt ?? createdAt) - Date.parse(createdAt)) / 1000;
    deps.metrics.seconds('operationSeconds', took, { Kind: kind });
  };
