import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationParameters, OperationRecord } from '../../store/operations.ts';
import type { Action } from './decide-action.ts';
import { newOperation } from './new-operation.ts';
import { endedOperation, nextContainer, nextOperation } from './next-records.ts';

/** A request for an action on a container. */
export interface Request {
  readonly operationId: string;
  readonly actor: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

interface Taken {
  readonly container: ContainerRecord;
  readonly operation: OperationRecord;
}

const operationOn = (container: ContainerRecord, kind: Action, request: Request): OperationRecord =>
  newOperation(container, { ...request, kind, id: request.operationId });

/** The container as it is while the operation runs: in the operation's state, in the next epoch. */
export const takeContainer = (before: ContainerRecord, kind: Action, request: Request): Taken => {
  const { operationId, actor, now } = request;
  const container = nextContainer(
    before,
    {
      epoch: before.epoch + 1,
      stateBefore: before.view.state,
      view: { state: OPERATION_STARTS[kind].during, activeOperationId: operationId },
    },
    { at: now.toISOString(), actor },
  );
  return { container, operation: operationOn(container, kind, request) };
};

/** An operation that has already ended because it has nothing to do. Callers always get an operation. */
export const nothingToDo = (container: ContainerRecord, kind: Action, request: Request): OperationRecord => ({
  ...endedOperation(
    operationOn(container, kind, request),
    'Succeeded',
    { error: null, steps: [] },
    request.now.toISOString(),
  ),
  revision: 1,
});

/**
 * A removal that waits for the container's active operation. That operation is cancelled and hands the container over
 * when it ends.
 */
export const supersede = (
  before: ContainerRecord,
  active: OperationRecord,
  request: Request,
): Taken & { readonly active: OperationRecord | null } => {
  const at = request.now.toISOString();
  const container = nextContainer(before, { tombstone: request.operationId }, { at, actor: request.actor });
  const removal = operationOn(container, 'remove', request);
  return {
    container,
    operation: {
      ...removal,
      after: active.id,
      view: { ...removal.view, reason: `waiting for the end of ${active.view.kind} ${active.id}` },
    },
    active:
      active.view.state === 'Cancelling'
        ? null
        : nextOperation(active, { view: { state: 'Cancelling' } }, at),
  };
};
