import type { OperationRecord } from '../../store/records.ts';
import type { Logger } from '../logger.ts';
import { failCancelled } from '../operation/fail-step.ts';
import type { Tasks } from '../tasks.ts';

/**
 * Wakes an operation that waits for room, so that it ends now; one that doesn't wait sees at its next step that it is
 * cancelled. A failure is only logged: placement is tried anew every few minutes, and sees it then.
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
    logger.warn('waiting operation not told that it is cancelled', { operationId: id }, error);
  }
};
