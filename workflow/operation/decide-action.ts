import type { ContainerState } from '../../core/contract/container.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import type { ContainerRecord } from '../../store/containers.ts';

/** What a caller can do with a container. */
export type Action = 'start' | 'stop' | 'restart' | 'kill' | 'remove';

export type Decision =
  | { readonly kind: 'begin'; readonly operation: Action }
  /** The container is already in the requested state. */
  | { readonly kind: 'unchanged' }
  /** Another operation has the container. If it does the same, it is the result. */
  | { readonly kind: 'join'; readonly activeOperationId: string }
  /** A removal while another operation has the container. That operation must end first. */
  | { readonly kind: 'supersede'; readonly activeOperationId: string };

/** States in which an action has no effect. */
const ALREADY: Readonly<Record<Action, readonly ContainerState[]>> = {
  start: ['Running'],
  stop: ['Off', 'Failed'],
  kill: ['Off', 'Failed'],
  restart: [],
  remove: [],
};

/** States in which the container runs, or may run. */
const NEEDS_FORCE: readonly ContainerState[] = ['Running', 'Unknown'];

const wrongState = (action: Action, state: ContainerState): ConflictError =>
  new ConflictError('invalid-state', `Cannot ${action} a container that is ${state}.`, {
    suggestion:
      state === 'Unknown'
        ? 'Its host is not connected. Start the agent of the host, or stop or remove the container.'
        : 'Wait until the container is in another state, then try again.',
    context: { state },
  });

/**
 * Decides what an action does to the container in its current state.
 * @throws ConflictError `invalid-state`
 */
export const decide = (
  { view: { state, activeOperationId } }: ContainerRecord,
  action: Action,
  force: boolean,
): Decision => {
  if (activeOperationId !== null) {
    return { kind: action === 'remove' ? 'supersede' : 'join', activeOperationId };
  }
  if (ALREADY[action].includes(state)) return { kind: 'unchanged' };
  // A container that is off needs no stop before the start.
  const operation = action === 'restart' && OPERATION_STARTS.start.from.includes(state) ? 'start' : action;
  if (!OPERATION_STARTS[operation].from.includes(state)) throw wrongState(action, state);
  if (action === 'remove' && !force && NEEDS_FORCE.includes(state))
    throw new ConflictError('invalid-state', `The container is ${state}.`, {
      suggestion: 'Stop it first, or remove it with ?force=true.',
      context: { state },
    });
  return { kind: 'begin', operation };
};
