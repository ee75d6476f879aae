import type { CommandResult } from '../../core/contract/agent/commands.ts';
import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { createProblem } from '../../core/domain/problems.ts';
import type { CommandRecord } from '../../store/commands.ts';
import type { Failure, StartFailure, TaskAnswer, Tasks } from '../tasks.ts';

const causeOf = (
  record: CommandRecord,
  error: Extract<CommandResult, { status: 'failed' }>['error'],
): string =>
  JSON.stringify(
    createProblem(error.code, error.message, {
      ...(error.suggestion !== undefined && { suggestion: error.suggestion }),
      context: {
        hostId: record.command.hostId,
        ...(record.step !== null && { step: record.step }),
        ...(error.step !== undefined && { hostStep: error.step }),
      },
    }),
  );

/** Whether the command is that of an operation which no execution runs. */
export const isDirect = ({ taskToken, operationId, step }: CommandRecord): boolean =>
  taskToken === null && operationId !== null && step !== null;

/** Sends a failed command to what ends its operation: the workflow step that waits for it, or a new execution. */
export const reportFailure = async (
  { tasks, startFailure }: { readonly tasks: Tasks; readonly startFailure: StartFailure },
  record: CommandRecord,
  failure: Failure,
): Promise<void> => {
  if (isDirect(record)) await startFailure(record, failure);
  else if (record.taskToken !== null) await tasks.fail(record.taskToken, failure.error, failure.cause);
};

/** Sends a command's result to the workflow step that waits for it. A query, or a command without a result, has none. */
export const answerTask = async (tasks: Tasks, record: CommandRecord): Promise<TaskAnswer> => {
  const { taskToken, result } = record;
  if (taskToken === null || result === null) return 'settled';
  return result.status === 'succeeded'
    ? tasks.succeed(taskToken, {})
    : tasks.fail(taskToken, WORKFLOW_ERRORS.stepFailed, causeOf(record, result.error));
};

/** Sends a command's result to its workflow step, or starts the end of the failed operation that has no execution. */
export const answerStep = async (
  deps: { readonly tasks: Tasks; readonly startFailure: StartFailure },
  record: CommandRecord,
): Promise<TaskAnswer> => {
  const { result } = record;
  if (!isDirect(record) || result?.status !== 'failed') return answerTask(deps.tasks, record);
  await deps.startFailure(record, {
    error: WORKFLOW_ERRORS.stepFailed,
    cause: causeOf(record, result.error),
  });
  return 'delivered';
};
