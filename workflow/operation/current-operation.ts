import type { WorkflowInput } from '../../core/contract/deployment.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { keys } from '../../store/keys.ts';
import { parseContainer, parseOperation } from '../../store/parse.ts';
import type { ContainerRecord, OperationRecord } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';

export interface CurrentOperation {
  readonly operation: OperationRecord;
  /** Undefined for an operation on an image, and if it no longer exists. */
  readonly container: ContainerRecord | undefined;
}

/** Operation and container as they stand now; undefined if there is no such operation. */
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

/** Whether the operation is not ended and, if it is one on a container, has it in this epoch. */
export const isCurrent = (found: CurrentOperation, input: WorkflowInput): boolean => {
  if (isEnded(found.operation.view.state)) return false;
  if (input.containerId === null) return true;
  return (
    found.container !== undefined &&
    found.container.epoch === input.epoch &&
    found.container.view.activeOperationId === input.operationId
  );
};

/** Whether the operation is to end without being done: cancelled, or overtaken by a removal. */
export const isUnwanted = ({ operation, container }: CurrentOperation): boolean =>
  operation.view.state === 'Cancelling' || (container?.tombstone ?? null) !== null;
