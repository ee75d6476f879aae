import { getLink } from '../../store/host-links.ts';
import type { WorkflowDependencies } from '../../workflow/dependencies.ts';
import type { Logger } from '../../workflow/logger.ts';
import { settleOperation } from '../../workflow/operation/settle-operation.ts';
import type { Push } from '../shared/hosts/push.ts';
import type { Metrics } from '../shared/observability/metrics.ts';
import { parseSettleInput } from './settle-input.ts';

interface SettleOperationDependencies extends WorkflowDependencies {
  readonly push: Push;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Ends an operation that did not succeed. The machines call it on their failure path, and the rule on status changes calls
 * it for executions that ended earlier. Both can call it for one operation, and more than once.
 */
export const createSettleOperationHandler = (deps: SettleOperationDependencies) => {
  const { table, push, logger, metrics } = deps;

  /** Requests the host's inventory. A disconnected host sends it when it reconnects. */
  const askHost = async (tenant: string, hostId: string): Promise<void> => {
    const link = await getLink(table, tenant, hostId);
    if (link === undefined || link.connectionId === null) return;
    await push(link.connectionId, { action: 'inventoryRequest' });
  };

  return async (event: unknown): Promise<void> => {
    const input = parseSettleInput(event);
    if (input === undefined) {
      // A retry would fail the same way.
      logger.error('the event is not about an operation');
      return;
    }
    const outcome = await settleOperation(deps, input, input);
    if (outcome.kind === 'already-ended') return;
    const { tenant, operationId, containerId } = input;
    const { state, kind, error } = outcome.operation.view;
    logger.warn('operation did not succeed', { tenant, operationId, containerId, state, code: error?.code });
    if (state === 'Failed') metrics.count('operationFailed', { kind });
    if (outcome.ask !== null) await askHost(tenant, outcome.ask);
  };
};
