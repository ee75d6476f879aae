import { ExecutionAlreadyExists, type SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import type { StateMachineName, WorkflowInput } from '../../../core/contract/deployment.ts';
import type { OperationRecord } from '../../../store/operations.ts';
import type { Logger } from '../../../workflow/logger.ts';
import { ConfigurationError } from '../errors.ts';

export type StartWorkflow = (operation: OperationRecord) => Promise<'started' | 'already-started'>;

/**
 * Starts the execution of an operation. The execution is named after the operation's id, so a second start has no effect.
 *
 * @param arns of the machines by name
 * @throws ConfigurationError if the operation's machine has no ARN here; what the SDK throws
 */
export const createStartWorkflow =
  (client: SFNClient, arns: Readonly<Partial<Record<StateMachineName, string>>>): StartWorkflow =>
  async ({ tenant, id, epoch, machine, view }) => {
    const stateMachineArn = arns[machine as StateMachineName];
    if (stateMachineArn === undefined) throw new ConfigurationError(`No ARN for state machine "${machine}".`);
    const input: WorkflowInput = { tenant, operationId: id, containerId: view.containerId, epoch };
    try {
      await client.send(
        new StartExecutionCommand({ stateMachineArn, name: id, input: JSON.stringify(input) }),
      );
      return 'started';
    } catch (error) {
      if (error instanceof ExecutionAlreadyExists) return 'already-started';
      throw error;
    }
  };

/**
 * Starts an accepted operation without waiting for the stream. A failure is only logged, because the table's stream starts
 * the operation as well.
 */
export const startAccepted = async (
  startWorkflow: StartWorkflow,
  operation: OperationRecord,
  logger: Logger,
): Promise<void> => {
  try {
    await startWorkflow(operation);
  } catch (error) {
    logger.warn('could not start an execution; the stream starts it', { operationId: operation.id }, error);
  }
};
