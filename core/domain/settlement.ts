import type { ContainerState } from '../contract/container.ts';
import type { OperationKind } from '../contract/operation.ts';

/**
 * The state of a container after an operation that did not succeed.
 *
 * Invariants
 * - The host's observation in the result of the failed step, or of the undo, is authoritative.
 * - A host that received no command has no unfinished work.
 * - Otherwise the container is `Unknown`: it may run, so its reservation is kept, and an inventory is requested from the host.
 * - After a cancelled operation that was undone, the container has its earlier state.
 * - A conversion to HyperV that fails closed leaves the container `Off`.
 */
export interface Ended {
  readonly kind: OperationKind;
  /** The container's state before the operation; null if the record has none. */
  readonly stateBefore: ContainerState | null;
  readonly cancelled: boolean;
  /** Whether any command of the operation was issued. */
  readonly commanded: boolean;
  /** Whether the host has confirmed that the operation is undone. */
  readonly undone: boolean;
  /** The host's latest observation of the container within this operation. */
  readonly observed: 'Absent' | 'Off' | 'Running' | null;
  /** The host did not restore the type Default: the container is HyperV now, but was not before. */
  readonly keptInVm: boolean;
}

interface Settlement {
  readonly state: ContainerState;
  /** Whether the container is still on its host. */
  readonly onHost: boolean;
}

type Effect = 'Absent' | 'Off' | 'Running' | 'as-before' | 'unknown';

/** The state after an undone operation, by kind. Stop and remove cannot be undone. */
const UNDONE: Readonly<Record<OperationKind, Effect>> = {
  create: 'Absent',
  start: 'Off',
  restart: 'Running',
  convert: 'as-before',
  stop: 'unknown',
  kill: 'unknown',
  remove: 'unknown',
  importImage: 'as-before',
};

const effectOf = (ended: Ended): Effect => {
  if (ended.observed !== null) return ended.observed;
  if (!ended.commanded) return ended.kind === 'create' ? 'Absent' : 'as-before';
  return ended.undone ? UNDONE[ended.kind] : 'unknown';
};

/** Whether the operation was to result in `Off`, or the container was `Off` before it. */
const isOffExpected = ({ kind, cancelled, stateBefore, keptInVm }: Ended): boolean =>
  kind === 'stop' ||
  kind === 'kill' ||
  kind === 'remove' ||
  (kind === 'convert' && (stateBefore !== 'Running' || keptInVm)) ||
  (kind === 'start' && cancelled && stateBefore !== 'Failed');

export const settledState = (ended: Ended): Settlement => {
  const effect = effectOf(ended);
  switch (effect) {
    case 'Running':
      return { state: 'Running', onHost: true };
    case 'Off':
      return { state: isOffExpected(ended) ? 'Off' : 'Failed', onHost: true };
    case 'Absent':
      return { state: 'Failed', onHost: false };
    case 'as-before':
      return { state: ended.stateBefore ?? 'Unknown', onHost: true };
    case 'unknown':
      return { state: 'Unknown', onHost: true };
  }
};
