import type { StateMachineName } from '../../core/contract/deployment.ts';
import { type CommandRecord, type SignCommand, signRecord } from '../../store/commands.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';
import { hostStep } from './host-step.ts';
import { stepCommand } from './step-command.ts';

/**
 * Operations without an execution. Where the host is known and one command does the work, the command is written in the
 * transaction that accepts the operation, and its result ends the operation. Step Functions runs what waits for capacity,
 * provisions a utility VM, converts, or has to be undone.
 *
 * If the command fails, expires, or its host becomes silent, an execution starts that undoes and settles the operation.
 */
const DIRECT: readonly string[] = [
  'prepare',
  'provision-process',
  'run-command',
] satisfies StateMachineName[];

/** Machines that first place the container. */
const PLACES: readonly string[] = ['prepare', 'provision-process'] satisfies StateMachineName[];

interface Accepted {
  readonly container: ContainerRecord;
  readonly operation: OperationRecord;
}

/**
 * The operation and its signed command, if the operation needs no execution; otherwise null.
 * @param accepted as they will be written
 */
export const acceptDirectly = async (
  sign: SignCommand,
  { container, operation }: Accepted,
  now: Date,
): Promise<{ readonly operation: OperationRecord; readonly command: CommandRecord } | null> => {
  const step = DIRECT.includes(operation.machine) ? hostStep(operation) : undefined;
  const isPlaced = operation.view.state === 'Running' || !PLACES.includes(operation.machine);
  if (step === undefined || !isPlaced || operation.after !== null) return null;
  const unsigned = stepCommand({ operation, container, step, token: null }, now);
  if (unsigned === null) return null;
  const running = { name: step, state: 'Running', startedAt: now.toISOString(), durationMs: null } as const;
  // A placement has recorded the step.
  const steps = operation.view.steps.length > 0 ? operation.view.steps : [running];
  return {
    operation: {
      ...operation,
      direct: true,
      view: { ...operation.view, state: 'Running', steps },
    },
    command: await signRecord(sign, unsigned),
  };
};
