import type { WorkflowStepEvent } from '../../../core/contract/deployment.ts';
import { ConfigurationError } from '../errors.ts';

/** The task token of a step. @throws ConfigurationError if the machine sent none */
export const tokenOf = (event: WorkflowStepEvent): string => {
  if (event.taskToken === undefined)
    throw new ConfigurationError(`Step ${event.step} was called without a task token.`);
  return event.taskToken;
};
