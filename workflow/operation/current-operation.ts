import { STEPS, type WorkflowInput } from '../../core/contract/deployment.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { type ContainerRecord, parseContainer } from '../../store/containers.ts';
import { keys } from '../../store/keys.ts';
import { type OperationRecord, parseOperation } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';

export interface CurrentOperation {
  readonly operation: OperationRecord;
  /** Undefined for an operation on an image, and if the container no longer exists. */
  readonly container: ContainerRecord | undefined;
}

/** Reads the operation and its container consistently; undefined if the operation does not exist. */
export const readCurrentOperation = async (
  table: Table,
  { tenant, operationId, containerId }: WorkflowInput,
): Promise<CurrentOperation | undefined> => {
  const [operation, container] = await Promise.all([
    table.get(keys.operation(tenant, operationId), { consistent: true }),
    containerId === null ? undefined : table.get(keys.container(tenant, containerId), { consistent: true }),
  ]);
  if (operation === undefined) return undefined;
  return { operation: parseOperation(operation), container: container && parseContainer(container) };
};

/** Whether the operation has not ended and, if it is on a container, is the container's active one in this epoch. */
export const isCurrent = (found: CurrentOperation, input: WorkflowInput): boolean => {
  if (isEnded(found.operation.view.state)) return false;
  if (input.containerId === null) return true;
  return (
    found.container !== undefined &&
    found.container.epoch === input.epoch &&
    found.container.view.activeOperationId === input.operationId
  );
};

/** Whether the operation must end without completing: it was cancelled, or a removal superseded it. */
export const isUnwanted = ({ operation, container }: CurrentOperation): boolean =>
  operation.view.state === 'Cancelling' || (container?.tombstone ?? null) !== null;

/** Steps that run even if the operation must end, because they clean up. */
const CLEANS_UP: readonly string[] = [STEPS.undo, STEPS.stop, STEPS.remove];

/** Whether a step must not begin, because its operation must end without completing. */
export const isCancelled = (found: CurrentOperation, step: string | null): boolean =>
  isUnwanted(found) && (step === null || !CLEANS_UP.includes(step));
