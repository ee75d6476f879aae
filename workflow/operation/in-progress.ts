import { ConflictError } from '../../core/domain/errors.ts';

/** The error for a container that has an active operation. */
export const inProgress = (operationId: string): ConflictError =>
  new ConflictError('operation-in-progress', `Operation ${operationId} is in progress on the container.`, {
    suggestion: `Wait for it with GET /v1/operations/${operationId}?waitSeconds=25, or cancel it.`,
    context: { operationId },
  });
