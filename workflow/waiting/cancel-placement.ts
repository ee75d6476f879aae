import type { OperationRecord } from '../../store/operations.ts';
import type { Logger } from '../logger.ts';
import { failCancelled } from '../operation/fail-step.ts';
import type { Tasks } from '../tasks.ts';

/**
 * Ends the placement step of a waiting operation at once. Any other operation sees at its next step that it is
 * cancelled. A failure is only logged: placement is retried every few minutes and sees the cancellation then.
 */
export const cancelPlacement = async (
  tasks: Tasks,
  { id, placeToken }: OperationRecord,
  logger: Logger,
): Promise<void> => {
  if (placeToken === null) return;
  try {
    await failCancelled(tasks, placeToken);
  } catch (error) {
    logger.warn('the cancellation of a waiting operation was not delivered', { operationId: id }, error);
  }
};
