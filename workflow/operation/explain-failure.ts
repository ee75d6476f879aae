import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { type Problem, ProblemSchema } from '../../core/contract/problem.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import type { Settled } from './settle-operation.ts';

/** The problem in a cause that Bulkhead wrote as JSON. A cause from Step Functions itself is not JSON. */
const problemIn = (cause: string): Problem | undefined => {
  try {
    return ProblemSchema.parse(JSON.parse(cause));
  } catch {
    return undefined;
  }
};

/** The failure of a workflow as a problem of the API. */
export const explainFailure = (
  { error, cause }: Settled['failure'],
  problem: WorkflowDependencies['problem'],
): Problem => {
  const given = problemIn(cause);
  if (given !== undefined) return given;
  switch (error) {
    case WORKFLOW_ERRORS.cancelled:
      return problem('operation-cancelled', 'The operation was cancelled.');
    case 'States.HeartbeatTimeout':
      return problem('host-not-answering', 'The host did not report progress in time.', {
        suggestion: 'Check the host: its agent must be running and connected.',
      });
    case 'States.Timeout':
      return problem('deadline-exceeded', 'The operation did not finish before its deadline.');
    case WORKFLOW_ERRORS.superseded:
    case 'ABORTED':
      return problem('operation-aborted', 'The workflow of the operation was aborted.');
    case WORKFLOW_ERRORS.stepFailed:
      return problem('step-failed', 'A step failed on the host.');
    default:
      return problem('internal', 'The workflow of the operation failed.', { context: { error } });
  }
};
