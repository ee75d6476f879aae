import { ConflictError } from '../../core/domain/errors.ts';

/** Another operation has the container. */
export const inProgress = (operationId: string): ConflictError =>
  new ConflictError('operation-in-progress', `Operation ${operationId} has the container.`, {
    suggestion: `Wait for it with GET /v1/operations/${operationId}?waitSeconds=25, or cancel it.`,
    context: { operationId },
  });
