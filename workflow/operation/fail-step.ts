import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { createProblem } from '../../core/domain/problems.ts';
import type { Failure, TaskAnswer, Tasks } from '../tasks.ts';

/** The failure of a step whose operation was cancelled or superseded by a removal. */
export const CANCELLED: Failure = {
  error: WORKFLOW_ERRORS.cancelled,
  cause: JSON.stringify(createProblem('operation-cancelled', 'The operation was cancelled.')),
};

export const failCancelled = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(token, CANCELLED.error, CANCELLED.cause);

/** Fails a step whose operation has ended or no longer has the container. */
export const failSuperseded = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(
    token,
    WORKFLOW_ERRORS.superseded,
    JSON.stringify(createProblem('operation-aborted', 'The operation no longer has the container.')),
  );
