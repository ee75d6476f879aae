import { getLink } from '../../store/links.ts';
import type { WorkflowDependencies } from '../../workflow/dependencies.ts';
import type { Logger } from '../../workflow/logger.ts';
import { settleOperation } from '../../workflow/operation/settle-operation.ts';
import type { Push } from '../shared/hosts/push.ts';
import type { Metrics } from '../shared/observability/metrics.ts';
import { parseSettleInput } from './settle-input.ts';

export interface SettleOperationDependencies extends WorkflowDependencies {
  readonly push: Push;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Ends an operation that came to nothing. Called by the machines on their way back, and by the rule on executions that
 * ended without getting that far; for the same operation possibly by both, and more than once.
 */
export const createSettleOperationHandler = (deps: SettleOperationDependencies) => {
  const { table, push, logger, metrics } = deps;

  /** Asks the host how its containers stand. Without a connection it says so when it comes back. */
  const askHost = async (tenant: string, hostId: string): Promise<void> => {
    const link = await getLink(table, tenant, hostId);
    if (link === undefined || link.connectionId === null) return;
    await push(link.connectionId, { action: 'inventoryRequest' });
  };

  return async (event: unknown): Promise<void> => {
    const input = parseSettleInput(event);
    if (input === undefined) {
      // Retrying would not change what was sent.
      logger.error('not an operation to settle');
      return;
    }
    const outcome = await settleOperation(deps, input, input);
    if (outcome.kind === 'already-ended') return;
    const { tenant, operationId, containerId } = input;
    const { state, kind, error } = outcome.operation.view;
    logger.warn('operation came to nothing', { tenant, operationId, containerId, state, code: error?.code });
    if (state === 'Failed') metrics.count('operationFailed', 1, { Kind: kind });
    if (outcome.ask !== null) await askHost(tenant, outcome.ask);
  };
};
