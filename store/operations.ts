import type { OperationKind } from '../core/contract/operation.ts';
import { machineFor } from '../core/domain/workflows.ts';
import { keys } from './keys.ts';
import { parseOperation } from './parse.ts';
import type { ContainerRecord, OperationParameters, OperationRecord } from './records.ts';
import type { Table, Write } from './table.ts';
import { addOperation, deadlineFrom, replaceContainer } from './transition.ts';

export interface OperationRequest {
  readonly id: string;
  readonly kind: Exclude<OperationKind, 'convert' | 'importImage'>;
  readonly actor: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

/** An operation on a container, accepted now. @param container as it is while the operation has it */
export const newOperation = (
  container: ContainerRecord,
  { id, kind, actor, parameters, now }: OperationRequest,
): OperationRecord => ({
  tenant: container.tenant,
  id,
  revision: 1,
  epoch: container.epoch,
  parameters,
  machine: machineFor({ kind, runtimeType: container.view.runtimeType, start: parameters.start ?? false }),
  after: null,
  placeToken: null,
  actor,
  view: {
    kind,
    containerId: container.id,
    imageName: null,
    hostId: container.view.hostId,
    state: 'Pending',
    reason: null,
    steps: [],
    error: null,
    requestedBy: actor,
    deadline: deadlineFrom(now),
    createdAt: now.toISOString(),
    updatedAt: now.toISOString(),
    endedAt: null,
  },
});

export const getOperation = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const key = keys.operation(tenant, id);
  const item = (await table.get(key)) ?? (await table.get(key, { consistent: true }));
  return item && parseOperation(item);
};

/** For a decision, or for who waits: as it stands now. */
export const getOperationNow = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const item = await table.get(keys.operation(tenant, id), { consistent: true });
  return item && parseOperation(item);
};

export interface Begin {
  readonly before: ContainerRecord;
  /** With the operation as its active one. */
  readonly after: ContainerRecord;
  readonly operation: OperationRecord;
  readonly remember: readonly Write[];
  readonly token: string;
}

/**
 * Takes a container for an operation: both, and the kept answer, in one transaction.
 * @throws ConditionFailed at index 0 if the container is no longer as it was read
 */
export const beginOperation = (
  table: Table,
  { before, after, operation, remember, token }: Begin,
): Promise<void> =>
  table.transact([replaceContainer(before, after), addOperation(operation), ...remember], token);
