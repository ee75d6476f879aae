import {
  InvalidToken,
  SendTaskFailureCommand,
  SendTaskHeartbeatCommand,
  SendTaskSuccessCommand,
  type SFNClient,
  TaskDoesNotExist,
  TaskTimedOut,
} from '@aws-sdk/client-sfn';
import type { TaskAnswer, Tasks } from '../../../workflow/tasks.ts';

/** Step Functions' own limit, in characters. */
const CAUSE_LENGTH = 32_768;

export const createTasks = (client: SFNClient): Tasks => {
  const answer = async (send: () => Promise<unknown>): Promise<TaskAnswer> => {
    try {
      await send();
      return 'delivered';
    } catch (error) {
      if (error instanceof TaskTimedOut || error instanceof TaskDoesNotExist || error instanceof InvalidToken)
        return 'settled';
      throw error;
    }
  };
  return {
    succeed: (taskToken, output) =>
      answer(() => client.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) }))),
    fail: (taskToken, error, cause) =>
      answer(() =>
        client.send(new SendTaskFailureCommand({ taskToken, error, cause: cause.slice(0, CAUSE_LENGTH) })),
      ),
    heartbeat: (taskToken) => answer(() => client.send(new SendTaskHeartbeatCommand({ taskToken }))),
  };
};
