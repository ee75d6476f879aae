import { WORKFLOW_ERRORS, type WorkflowStepEvent } from '../../core/contract/deployment.ts';
import { ConfigurationError } from './errors.ts';
import { createProblem } from './problems.ts';
import type { TaskAnswer, Tasks } from './tasks.ts';

/** The token of a step that waits. @throws ConfigurationError if the machine gave none */
export const tokenOf = (event: WorkflowStepEvent): string => {
  if (event.taskToken === undefined)
    throw new ConfigurationError(`Step ${event.step} was called without a task token.`);
  return event.taskToken;
};

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
