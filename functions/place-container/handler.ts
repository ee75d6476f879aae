import type { WorkflowStepEvent } from '../../core/contract/deployment.ts';
import type { Logger } from '../../workflow/logger.ts';
import { failCancelled, failSuperseded } from '../../workflow/operation/fail-step.ts';
import { type PlacementDependencies, placeContainer } from '../../workflow/placement/place-container.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import { recordWaiting } from '../../workflow/waiting/waiting-operations.ts';
import type { Metrics } from '../shared/observability/metrics.ts';
import { tokenOf } from '../shared/steps/task-token.ts';

interface PlaceContainerDependencies extends PlacementDependencies {
  readonly tasks: Tasks;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

type Looked = 'answered' | { readonly reason: string };

/**
 * The step Place: reserves capacity on a host, or records that the operation waits. After recording it tries once more,
 * because capacity may have become free in between.
 */
export const createPlaceContainerHandler = (deps: PlaceContainerDependencies) => {
  const { table, tasks, logger, metrics, now } = deps;

  const look = async (event: WorkflowStepEvent, token: string): Promise<Looked> => {
    const outcome = await placeContainer(deps, event);
    switch (outcome.kind) {
      case 'placed':
      case 'placed-already':
        await tasks.succeed(token, {});
        return 'answered';
      case 'unwanted':
        await failCancelled(tasks, token);
        return 'answered';
      case 'superseded':
        await failSuperseded(tasks, token);
        return 'answered';
      case 'no-fit':
        return { reason: outcome.reason };
    }
  };

  return async (event: WorkflowStepEvent): Promise<void> => {
    const taskToken = tokenOf(event);
    const { tenant, operationId, containerId } = event;
    const first = await look(event, taskToken);
    if (first === 'answered') return;
    await recordWaiting(table, event, { reason: first.reason, taskToken, now: now() });
    const second = await look(event, taskToken);
    if (second === 'answered') return;
    const { reason } = second;
    metrics.count('operationLate', { reason });
    logger.info('waiting for capacity', { tenant, operationId, containerId, reason });
  };
};
