import { canTransitionContainer } from '../core/domain/container-state.ts';
import { InvalidTransitionError } from '../core/domain/errors.ts';
import { canTransitionOperation } from '../core/domain/operation-state.ts';
import { toAttribute } from './item.ts';
import { keys } from './keys.ts';
import { computeProcessItem, containerItem, operationItem } from './put.ts';
import type { ComputeProcessRecord, ContainerRecord, OperationRecord } from './records.ts';
import { keyItem, type Write } from './table.ts';

const AS_READ = 'revision = :revision';

const asRead = (revision: number) => ({ ':revision': toAttribute(revision) });

/**
 * The writes of containers, operations and compute processes. Each is conditional on the revision that was read, and
 * each change of state must be in the state table of its entity.
 *
 * @throws InvalidTransitionError if the state table has no such transition
 */
export const replaceContainer = (before: ContainerRecord, after: ContainerRecord): Write => {
  const [from, to] = [before.view.state, after.view.state];
  if (!canTransitionContainer(from, to)) throw new InvalidTransitionError(`Container ${before.id}`, from, to);
  return {
    put: {
      Item: containerItem(after),
      ConditionExpression: AS_READ,
      ExpressionAttributeValues: asRead(before.revision),
    },
  };
};

/** @throws InvalidTransitionError if the state table has no such transition, e.g. from an end */
export const replaceOperation = (before: OperationRecord, after: OperationRecord): Write => {
  const [from, to] = [before.view.state, after.view.state];
  if (!canTransitionOperation(from, to)) throw new InvalidTransitionError(`Operation ${before.id}`, from, to);
  return {
    put: {
      Item: operationItem(after),
      ConditionExpression: AS_READ,
      ExpressionAttributeValues: asRead(before.revision),
    },
  };
};

export const addOperation = (record: OperationRecord): Write => ({
  put: { Item: operationItem(record), ConditionExpression: 'attribute_not_exists(pk)' },
});

export const deleteContainer = (record: ContainerRecord): readonly Write[] => [
  {
    remove: {
      Key: keyItem(keys.container(record.tenant, record.id)),
      ConditionExpression: AS_READ,
      ExpressionAttributeValues: asRead(record.revision),
    },
  },
  { remove: { Key: keyItem(keys.containerName(record.tenant, record.view.name)) } },
];

export const putComputeProcess = (record: ComputeProcessRecord): Write => ({
  put: { Item: computeProcessItem(record) },
});

export const deleteComputeProcess = (record: ContainerRecord): Write => ({
  remove: { Key: keyItem(keys.computeProcess(record.tenant, record.id)) },
});
