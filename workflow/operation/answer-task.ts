import type { CommandResult } from '../../core/contract/agent/commands.ts';
import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import { createProblem } from '../../core/domain/problems.ts';
import type { CommandRecord } from '../../store/commands.ts';
import type { TaskAnswer, Tasks } from '../tasks.ts';

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

/** Sends a command's result to the workflow step that waits for it. A query, or a command without a result, has none. */
export const answerTask = async (tasks: Tasks, record: CommandRecord): Promise<TaskAnswer> => {
  const { taskToken, result } = record;
  if (taskToken === null || result === null) return 'settled';
  return result.status === 'succeeded'
    ? tasks.succeed(taskToken, {})
    : tasks.fail(taskToken, WORKFLOW_ERRORS.stepFailed, causeOf(record, result.error));
};
