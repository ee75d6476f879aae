import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { createProblem } from '../../core/domain/problems.ts';
import type { TaskAnswer, Tasks } from '../tasks.ts';

/** Fails a step because its operation was cancelled or superseded by a removal. */
export const failCancelled = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(
    token,
    WORKFLOW_ERRORS.cancelled,
    JSON.stringify(createProblem('operation-cancelled', 'The operation was cancelled.')),
  );

/** Fails a step whose operation has ended or no longer has the container. */
export const failSuperseded = (tasks: Tasks, token: string): Promise<TaskAnswer> =>
  tasks.fail(
    token,
    WORKFLOW_ERRORS.superseded,
    JSON.stringify(createProblem('operation-aborted', 'The operation no longer has the container.')),
  );
