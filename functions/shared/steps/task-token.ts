import type { WorkflowStepEvent } from '../../../core/contract/deployment.ts';
import { ConfigurationError } from '../errors.ts';

/** The token of a step that waits. @throws ConfigurationError if the machine gave none */
export const tokenOf = (event: WorkflowStepEvent): string => {
  if (event.taskToken === undefined)
    throw new ConfigurationError(`Step ${event.step} was called without a task token.`);
  return event.taskToken;
};
