import type { ContainerState } from '../../core/contract/container.ts';
import { OPERATION_STARTS } from '../../core/domain/container-state.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import type { ContainerRecord } from '../../store/records.ts';
import { inProgress } from './in-progress.ts';

/** What a caller may ask of a container. */
export type Action = 'start' | 'stop' | 'restart' | 'kill' | 'remove';

export type Decision =
  | { readonly kind: 'begin'; readonly operation: Action }
  /** It is so already. */
  | { readonly kind: 'unchanged' }
  /** A removal while another operation has the container: that one is to end first. */
  | { readonly kind: 'overtake'; readonly activeOperationId: string };

/** States in which an action has nothing to do. */
const ALREADY: Readonly<Record<Action, readonly ContainerState[]>> = {
  start: ['Running'],
  stop: ['Off', 'Failed'],
  kill: ['Off', 'Failed'],
  restart: [],
  remove: [],
};

/** In these it runs, or may. */
const NEEDS_FORCE: readonly ContainerState[] = ['Running', 'Unknown'];

const wrongState = (action: Action, state: ContainerState): ConflictError =>
  new ConflictError('invalid-state', `A container that is ${state} cannot be asked to ${action}.`, {
    suggestion:
      state === 'Unknown'
        ? 'Its host is silent: bring the host back, or stop or remove the container.'
        : 'Read the container for its state, and ask again when it allows it.',
    context: { state },
  });

/**
 * What an action comes to, on the container as it is now.
 * @throws ConflictError `operation-in-progress`, `invalid-state`
 */
export const decide = (
  { view: { state, activeOperationId } }: ContainerRecord,
  action: Action,
  force: boolean,
): Decision => {
  if (activeOperationId !== null) {
    if (action === 'remove') return { kind: 'overtake', activeOperationId };
    throw inProgress(activeOperationId);
  }
  if (ALREADY[action].includes(state)) return { kind: 'unchanged' };
  // What is off has nothing to be stopped first.
  const operation = action === 'restart' && OPERATION_STARTS.start.from.includes(state) ? 'start' : action;
  if (!OPERATION_STARTS[operation].from.includes(state)) throw wrongState(action, state);
  if (action === 'remove' && !force && NEEDS_FORCE.includes(state))
    throw new ConflictError('invalid-state', `The container is ${state}.`, {
      suggestion: 'Stop it first, or remove it with ?force=true.',
      context: { state },
    });
  return { kind: 'begin', operation };
};
