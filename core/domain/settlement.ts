import type { ContainerState } from '../contract/container.ts';
import type { OperationKind } from '../contract/operation.ts';

/**
 * Where a container stands after an operation on it that came to nothing.
 *
 * Invariants
 * - What the host has said, in the result of the step that failed or of the undoing, decides over everything else.
 * - A host that was told nothing has nothing half made.
 * - Where neither is so, the container is `Unknown`: it may be running, so its capacity stays held, and the host is
 *   asked for an inventory.
 * - A container that is back where it was before a cancelled operation is in the state it was in.
 * - A conversion to HyperV that fails closed leaves the container `Off`: that is where it is to be.
 */
export interface Ended {
  readonly kind: OperationKind;
  /** `create` only: whether it was to be started too. */
  readonly stateBefore: ContainerState | null;
  readonly cancelled: boolean;
  /** Whether any command of the operation was given to a host. */
  readonly commanded: boolean;
  /** Whether the host has confirmed that the operation is undone. */
  readonly undone: boolean;
  /** What the host last said of the container, within this operation. */
  readonly observed: 'Absent' | 'Off' | 'Running' | null;
  /** The host has kept it from its kernel: it is HyperV now, though it was not before. */
  readonly keptInVm: boolean;
}

interface Settlement {
  readonly state: ContainerState;
  /** Whether the container still belongs to its host: false if the host has nothing of it. */
  readonly onHost: boolean;
}

type Effect = 'Absent' | 'Off' | 'Running' | 'as-before' | 'unknown';

/** What an undone operation leaves, by kind; stopping and removing can't be undone. */
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

/** Whether being off is what was wanted of it, or at least no news. */
const offIsFine = ({ kind, cancelled, stateBefore, keptInVm }: Ended): boolean =>
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
      return { state: offIsFine(ended) ? 'Off' : 'Failed', onHost: true };
    case 'Absent':
      return { state: 'Failed', onHost: false };
    case 'as-before':
      return { state: ended.stateBefore ?? 'Unknown', onHost: true };
    case 'unknown':
      return { state: 'Unknown', onHost: true };
  }
};
