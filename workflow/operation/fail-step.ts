import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { createProblem } from '../../core/domain/problems.ts';
import type { TaskAnswer, Tasks } from '../tasks.ts';

/** Ends a step because its operation is not wanted any more: cancelled, or its container is to be removed. */
export const failCancelled = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(
    token,
    WORKFLOW_ERRORS.cancelled,
    JSON.stringify(createProblem('operation-cancelled', 'The operation was cancelled.')),
  );

/** Ends a step whose operation has ended, or no longer has the container. */
export const failSuperseded = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(
    token,
    WORKFLOW_ERRORS.superseded,
    JSON.stringify(createProblem('operation-aborted', 'The operation no longer has the container.')),
  );
