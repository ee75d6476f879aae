import type { ContainerState } from '../contract/container.ts';
import type { OperationKind } from '../contract/operation.ts';

/**
 * The state table of containers. store/writes.ts refuses any other transition. Any state can become `Unknown` when the
 * host's lease expires, and `Unknown` becomes what the host reports next.
 */
export const CONTAINER_TRANSITIONS: Readonly<Record<ContainerState, readonly ContainerState[]>> = {
  // Failed: the creation failed, or the host lost the files.
  Off: ['Starting', 'Converting', 'Removing', 'Unknown', 'Running', 'Failed'],
  Starting: ['Running', 'Off', 'Failed', 'Unknown', 'Removing'],
  Running: ['Stopping', 'Converting', 'Removing', 'Off', 'Unknown', 'Failed'],
  Stopping: ['Off', 'Running', 'Failed', 'Unknown', 'Removing'],
  Converting: ['Off', 'Running', 'Failed', 'Unknown', 'Removing'],
  Removing: ['Off', 'Running', 'Failed', 'Unknown'],
  Failed: ['Starting', 'Removing', 'Off', 'Running', 'Unknown', 'Converting'],
  Unknown: ['Off', 'Running', 'Failed', 'Stopping', 'Removing', 'Starting'],
};

/** Whether a container can change from one state to another. Keeping its state is always allowed. */
export const canTransitionContainer = (from: ContainerState, to: ContainerState): boolean =>
  from === to || CONTAINER_TRANSITIONS[from].includes(to);

/** The states in which an operation can start, and the state of the container during it. */
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

/** Whether a container in this state has a reservation when no operation is active. An `Unknown` container may still run. */
export const holdsCapacity = (state: ContainerState): boolean => state !== 'Off' && state !== 'Failed';
