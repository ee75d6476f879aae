import type { ContainerState } from '../contract/container.ts';
import type { OperationKind } from '../contract/operation.ts';

/**
 * The states of a container as data. A state changes only along this table (failure model, invariant 4).
 * `Unknown` is entered from anywhere when the host goes silent, and left to whatever the host then reports.
 */
export const CONTAINER_TRANSITIONS: Readonly<Record<ContainerState, readonly ContainerState[]>> = {
  // Failed: a creation that came to nothing, or files that the host no longer has.
  Off: ['Starting', 'Converting', 'Removing', 'Unknown', 'Running', 'Failed'],
  Starting: ['Running', 'Off', 'Failed', 'Unknown', 'Removing'],
  Running: ['Stopping', 'Converting', 'Removing', 'Off', 'Unknown', 'Failed'],
  Stopping: ['Off', 'Running', 'Failed', 'Unknown', 'Removing'],
  Converting: ['Off', 'Running', 'Failed', 'Unknown', 'Removing'],
  Removing: ['Off', 'Running', 'Failed', 'Unknown'],
  Failed: ['Starting', 'Removing', 'Off', 'Running', 'Unknown', 'Converting'],
  Unknown: ['Off', 'Running', 'Failed', 'Stopping', 'Removing', 'Starting'],
};

/** Whether a container may go from one state to another. Staying is always allowed. */
export const canTransitionContainer = (from: ContainerState, to: ContainerState): boolean =>
  from === to || CONTAINER_TRANSITIONS[from].includes(to);

/** States that an operation may begin in, and the state that it puts the container in. */
export const OPERATION_STARTS: Readonly<
  Record<
    Exclude<OperationKind, 'create' | 'importImage'>,
    { from: readonly ContainerState[]; during: ContainerState }
  >
> = {
  start: { from: ['Off', 'Failed'], during: 'Starting' },
  stop: { from: ['Running', 'Unknown'], during: 'Stopping' },
  kill: { from: ['Running', 'Unknown'], during: 'Stopping' },
  restart: { from: ['Running'], during: 'Stopping' },
  remove: { from: ['Off', 'Failed', 'Running', 'Unknown'], during: 'Removing' },
  convert: { from: ['Off', 'Running'], during: 'Converting' },
};

/** Whether capacity is held in this state when no operation is active. Unknown may still be running, so it is. */
export const holdsCapacity = (state: ContainerState): boolean => state !== 'Off' && state !== 'Failed';
