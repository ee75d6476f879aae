import type { AssignedContainer, CommandArguments } from '../../core/contract/agent/commands.ts';
import { type ContainerState, DEFAULT_STOP_SECONDS } from '../../core/contract/container.ts';
import { STEPS } from '../../core/contract/deployment.ts';
import type { OperationKind } from '../../core/contract/operation.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';

/** The target of Undo by kind of operation. Other kinds have nothing to undo. */
const UNDO_TO: Partial<Record<OperationKind, 'Absent' | 'Off' | 'Running'>> = {
  create: 'Absent',
  start: 'Off',
  restart: 'Running',
};

const wasRunning = (stateBefore: ContainerState | null): 'Running' | 'Off' =>
  stateBefore === 'Running' ? 'Running' : 'Off';

/**
 * How a conversion is undone: the container becomes what it was, if the host considers that safe. If the conversion fails
 * closed, the container stays off and does not return to the host's kernel.
 */
const undoConversion = (
  { parameters }: OperationRecord,
  container: AssignedContainer,
  stateBefore: ContainerState | null,
): CommandArguments =>
  parameters.failsClosed === true
    ? { verb: 'restoreContainer', to: 'Off', container: { ...container, runtimeType: 'HyperV' } }
    : { verb: 'restoreContainer', to: wasRunning(stateBefore), container };

const onContainer = (
  step: string,
  operation: OperationRecord,
  { id, view, stateBefore }: ContainerRecord,
): CommandArguments | null => {
  const container = { id, name: view.name, runtimeType: view.runtimeType, spec: view.spec };
  const force = operation.view.kind === 'kill';
  const timeoutSeconds = force ? 0 : (operation.parameters.timeoutSeconds ?? DEFAULT_STOP_SECONDS);
  switch (step) {
    case STEPS.prepare:
      return { verb: 'prepareContainer', container };
    // One command: its host provisions the utility VM and starts the container in it.
    case STEPS.provisionUtilityVm:
    case STEPS.start:
      return { verb: 'startContainer', container };
    case STEPS.stop:
      return { verb: 'stopContainer', timeoutSeconds };
    case STEPS.restart:
      return { verb: 'restartContainer', container, timeoutSeconds };
    case STEPS.remove:
      return { verb: 'removeContainer' };
    case STEPS.convert: {
      const runtimeType = operation.parameters.runtimeType ?? view.runtimeType;
      const { failsClosed, acceptUntrustedDisk } = operation.parameters;
      return {
        verb: 'convertContainer',
        container: { ...container, runtimeType },
        from: view.runtimeType,
        timeoutSeconds,
        ...(failsClosed === true && { onFailure: 'stop' }),
        ...(acceptUntrustedDisk === true && { acceptUntrustedDisk }),
      };
    }
    case STEPS.restore:
      return undoConversion(operation, container, stateBefore);
    case STEPS.undo: {
      if (operation.view.kind === 'convert') return undoConversion(operation, container, stateBefore);
      const to = UNDO_TO[operation.view.kind];
      return to === undefined ? null : { verb: 'restoreContainer', to, container };
    }
    default:
      return null;
  }
};

/** The command's arguments for a step of a workflow; null if there is nothing to do. */
export const stepArguments = (
  step: string,
  operation: OperationRecord,
  container: ContainerRecord | undefined,
): CommandArguments | null => {
  if (container !== undefined) return onContainer(step, operation, container);
  const { source, digest } = operation.parameters;
  const { imageName } = operation.view;
  if (step !== STEPS.importImage || source === undefined || imageName === null) return null;
  return { verb: 'importImage', name: imageName, source, ...(digest !== undefined && { digest }) };
};
