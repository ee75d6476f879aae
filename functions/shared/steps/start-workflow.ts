import { ExecutionAlreadyExists, type SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import type { StateMachineName, WorkflowInput } from '../../../core/contract/deployment.ts';
import type { OperationRecord } from '../../../store/operations.ts';
import type { Logger } from '../../../workflow/logger.ts';
import { failureMachine } from '../../../workflow/operation/host-step.ts';
import type { Failure, StartFailure } from '../../../workflow/tasks.ts';
import { ConfigurationError } from '../errors.ts';

export type StartWorkflow = (operation: OperationRecord) => Promise<'started' | 'already-started'>;

type Arns = Readonly<Partial<Record<StateMachineName, string>>>;

/** The execution is named after the operation's id, so a second start has no effect. */
const start = async (
  client: SFNClient,
  arns: Arns,
  machine: StateMachineName,
  input: WorkflowInput & { readonly failure?: Failure; readonly undone?: boolean },
): Promise<'started' | 'already-started'> => {
  const stateMachineArn = arns[machine];
  if (stateMachineArn === undefined) throw new ConfigurationError(`No ARN for state machine "${machine}".`);
  try {
    await client.send(
      new StartExecutionCommand({ stateMachineArn, name: input.operationId, input: JSON.stringify(input) }),
    );
    return 'started';
  } catch (error) {
    if (error instanceof ExecutionAlreadyExists) return 'already-started';
    throw error;
  }
};

/**
 * Starts the execution of an operation. A second start has no effect.
 *
 * @param arns of the machines by name
 * @throws ConfigurationError if the operation's machine has no ARN here; what the SDK throws
 */
export const createStartWorkflow =
  (client: SFNClient, arns: Arns): StartWorkflow =>
  ({ tenant, id, epoch, machine, view }) => {
    const input = { tenant, operationId: id, containerId: view.containerId, epoch };
    return start(client, arns, machine as StateMachineName, input);
  };

/**
 * Starts the execution that ends an operation which failed without an execution. A second start has no effect.
 *
 * @param arns of the machines `undo` and `settle`
 * @throws ConfigurationError if the machine has no ARN here; what the SDK throws
 */
export const createStartFailure =
  (client: SFNClient, arns: Arns): StartFailure =>
  async ({ tenant, operationId, step, command }, failure) => {
    if (operationId === null || step === null) return;
    const { containerId, epoch } = command;
    await start(client, arns, failureMachine(step), {
      tenant,
      operationId,
      containerId,
      epoch,
      failure,
      undone: false,
    });
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
