import { STEPS, type WorkflowInput } from '../../core/contract/deployment.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { diskFor, memoryClass, type Reservation } from '../../core/domain/capacity.ts';
import { TooBusyError } from '../../core/domain/errors.ts';
import {
  type Candidate,
  explainNoFit,
  type PlacementNeed,
  reservationOn,
} from '../../core/domain/placement.ts';
import { checkReady, reserveCapacity } from '../../store/capacity.ts';
import { type ContainerRecord, replaceContainer } from '../../store/containers.ts';
import { parseImage } from '../../store/images.ts';
import { indexes, keys } from '../../store/keys.ts';
import { type OperationRecord, replaceOperation } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { ConditionFailed, type Table, type Write } from '../../store/table.ts';
import { reserveForConversion } from '../conversion/conversion-capacity.ts';
import {
  type CurrentOperation,
  isCurrent,
  isUnwanted,
  readCurrentOperation,
} from '../operation/current-operation.ts';
import { hostStep } from '../operation/host-step.ts';
import { nextContainer, nextOperation } from '../operation/next-records.ts';
import { findHosts } from './find-hosts.ts';

/**
 * Placement: chooses the host of a container and reserves capacity there.
 *
 * Cost: at most 10 read units for any number of hosts, if one of the first hosts of the sample fits (find-hosts.ts). Invariants:
 * - Only the condition on the host's item decides whether the capacity is free. The index may be stale.
 * - Host, container and operation change in one transaction, so no reservation is without an owner.
 * - A container stays on its host, because its files are there.
 */
export interface PlacementDependencies {
  readonly table: Table;
  readonly now: () => Date;
  /** In [0, 1). */
  readonly random: () => number;
}

type PlacementOutcome =
  | { readonly kind: 'placed'; readonly hostId: string; readonly operation: OperationRecord }
  /** An earlier attempt placed the container. The step may continue. */
  | { readonly kind: 'placed-already' }
  | {
      readonly kind: 'no-fit';
      readonly reason: string;
      /** The requirements as text. Containers with the same requirements fit the same hosts. */
      readonly requirements: string;
    }
  | { readonly kind: 'unwanted' | 'superseded' };

/** Samples before the result is "no fit". Further ones are read only if other placements took the capacity. */
const ROUNDS = 3;

const reserves = (operation: OperationRecord): boolean =>
  operation.view.kind !== 'create' || operation.parameters.start === true;

/** What the container needs from a host. Undefined if the image is not in the catalogue. */
export const readNeed = async (
  table: Table,
  { operation, container }: { operation: OperationRecord; container: ContainerRecord },
): Promise<PlacementNeed | undefined> => {
  const { spec, runtimeType } = container.view;
  const image = await table.get(keys.image(container.tenant, spec.image));
  if (image === undefined) return undefined;
  return {
    image: parseImage(image).view,
    runtimeType,
    resources: spec.resources,
    // A container on a host has its disk reserved already.
    diskMB: container.view.hostId === null ? diskFor(spec.resources) : 0,
    switchName: spec.switchName,
    placement: spec.placement ?? {},
    reserve: reserves(operation),
  };
};

const readyKeyAfter = (host: Candidate, room: Reservation): string | undefined => {
  const before = memoryClass(host.free.memoryMB);
  const after = memoryClass(host.free.memoryMB - room.memoryMB);
  return before === after ? undefined : indexes.readyHosts('', host.facts.os.family, after, host.id).sk;
};

const placeSteps = (operation: OperationRecord, at: string): readonly OperationStep[] => {
  const before = operation.view.steps.find(({ name }) => name === STEPS.place);
  const startedAt = before?.startedAt ?? operation.view.updatedAt;
  const placed: OperationStep = {
    name: STEPS.place,
    state: 'Succeeded',
    startedAt,
    durationMs: Math.max(0, Date.parse(at) - Date.parse(startedAt)),
  };
  const next = hostStep(operation);
  return [
    placed,
    ...(next === undefined
      ? []
      : [{ name: next, state: 'Running' as const, startedAt: at, durationMs: null }]),
  ];
};

interface Attempt {
  readonly operation: OperationRecord;
  readonly container: ContainerRecord;
  readonly need: PlacementNeed;
}

/** A placement that is decided and not written yet. */
export interface PlannedPlacement {
  readonly container: ContainerRecord;
  readonly operation: OperationRecord;
  /** Reserves the capacity, on the condition that it is still free. */
  readonly reserve: Write;
}

/** A container and its operation as an accepted request writes them; placed already if a host has free capacity. */
export type Accepted = Omit<PlannedPlacement, 'reserve'> & Partial<Pick<PlannedPlacement, 'reserve'>>;

const planOn = ({ operation, container, need }: Attempt, host: Candidate, at: string): PlannedPlacement => {
  const { tenant } = container;
  const { diskMB, ...room } = reservationOn(host, need);
  const reserve: Write =
    need.reserve || diskMB > 0
      ? reserveCapacity(
          tenant,
          host.id,
          { ...room, diskMB },
          { onlyIfReady: true, newReadyKey: readyKeyAfter(host, room) },
        )
      : checkReady(tenant, host.id);
  const placed = nextOperation(
    operation,
    { view: { state: 'Running', reason: null, steps: placeSteps(operation, at) } },
    at,
  );
  const moved = nextContainer(
    container,
    {
      reservation: need.reserve ? room : null,
      heldDiskMB: container.heldDiskMB + diskMB,
      ...(container.view.hostId === host.id ? {} : { observedSequence: null }),
      view: { hostId: host.id, ...(need.reserve ? { state: 'Starting' as const } : {}) },
    },
    { at, actor: operation.actor },
  );
  return { container: moved, operation: placed, reserve };
};

/**
 * Reserves capacity on a host. @returns the updated operation, or null if the capacity is no longer free.
 * @throws ConditionFailed if the container or the operation has changed since it was read
 */
const reserveOn = async (
  table: Table,
  attempt: Attempt,
  host: Candidate,
  at: string,
): Promise<OperationRecord | null> => {
  const { container, operation, reserve } = planOn(attempt, host, at);
  try {
    await table.transact([
      reserve,
      replaceContainer(attempt.container, container),
      replaceOperation(attempt.operation, operation),
    ]);
    return operation;
  } catch (error) {
    if (error instanceof ConditionFailed && error.index === 0) return null;
    // Many placements compete for this host: another host is the better choice.
    if (error instanceof TooBusyError) return null;
    throw error;
  }
};

const requirementsOf = ({ operation, container }: Pick<Attempt, 'operation' | 'container'>): string => {
  const { spec, runtimeType, hostId } = container.view;
  const { image, switchName, resources, placement } = spec;
  return JSON.stringify([
    image.toLowerCase(),
    switchName.toLowerCase(),
    runtimeType,
    resources.memoryMB,
    resources.cpus,
    resources.diskMB,
    placement ?? null,
    hostId,
    reserves(operation),
  ]);
};

/** Reserves capacity for a conversion on the container's current host. */
const reserveForConversionOf = async (
  deps: PlacementDependencies,
  found: Pick<Attempt, 'operation' | 'container'>,
  skip: ReadonlySet<string>,
): Promise<PlacementOutcome> => {
  const { operation, container } = found;
  const to = operation.parameters.runtimeType ?? container.view.runtimeType;
  const { hostId, spec } = container.view;
  const requirements = JSON.stringify([
    'convert',
    hostId,
    to,
    spec.resources.memoryMB,
    container.reservation,
  ]);
  if (skip.has(requirements)) return { kind: 'no-fit', reason: operation.view.reason ?? '', requirements };
  const at = deps.now().toISOString();
  const placed = nextOperation(
    operation,
    { view: { state: 'Running', reason: null, steps: placeSteps(operation, at) } },
    at,
  );
  const taken = await reserveForConversion(deps.table, { container, to, at, operation, placed });
  return taken.kind === 'taken'
    ? { kind: 'placed', hostId: hostId ?? '', operation: placed }
    : { kind: 'no-fit', reason: taken.reason, requirements };
};

const tryToPlace = async (
  deps: PlacementDependencies,
  found: Pick<Attempt, 'operation' | 'container'>,
  skip: ReadonlySet<string>,
): Promise<PlacementOutcome> => {
  const requirements = requirementsOf(found);
  if (skip.has(requirements))
    return { kind: 'no-fit', reason: found.operation.view.reason ?? '', requirements };
  const need = await readNeed(deps.table, found);
  if (need === undefined)
    return {
      kind: 'no-fit',
      reason: `waiting for image ${found.container.view.spec.image}: it is not in the catalogue`,
      requirements,
    };
  const attempt: Attempt = { ...found, need };
  let reason = '';
  for (let round = 0; round < ROUNDS; round += 1) {
    const fit = await findHosts(deps, attempt);
    if (fit.kind === 'no-fit') return { kind: 'no-fit', reason: fit.reason, requirements };
    for (const host of fit.hosts) {
      const operation = await reserveOn(deps.table, attempt, host, deps.now().toISOString());
      if (operation !== null) return { kind: 'placed', hostId: host.id, operation };
    }
    reason = explainNoFit(
      fit.hosts.map((host) => ({ ...host, free: { memoryMB: 0, cpus: 0, diskMB: 0 } })),
      need,
    );
  }
  return { kind: 'no-fit', reason, requirements };
};

/**
 * Plans the placement of a container whose operation is accepted now, so that both are written in one transaction.
 * Container and operation keep their revisions, because they are written once.
 * @returns null if no host is known to fit. The step Place then waits for one.
 */
export const planPlacement = async (
  deps: PlacementDependencies,
  accepted: Pick<Attempt, 'operation' | 'container'>,
): Promise<PlannedPlacement | null> => {
  const need = await readNeed(deps.table, accepted);
  if (need === undefined) return null;
  const attempt: Attempt = { ...accepted, need };
  const fit = await findHosts(deps, attempt);
  const host = fit.kind === 'fit' ? fit.hosts[0] : undefined;
  if (host === undefined) return null;
  const { container, operation, reserve } = planOn(attempt, host, accepted.operation.view.createdAt);
  return {
    container: { ...container, revision: accepted.container.revision },
    operation: {
      ...operation,
      revision: accepted.operation.revision,
      // Nothing is left to place.
      machine: operation.machine === 'place-utility-vm' ? 'provision-utility-vm' : operation.machine,
    },
    reserve,
  };
};

/** Whether an earlier attempt has placed the container. */
export const isPlaced = ({ operation, container }: CurrentOperation): boolean => {
  if (container === undefined) return false;
  if (operation.view.kind === 'convert') return (container.conversion ?? null) !== null;
  return reserves(operation) ? container.reservation !== null : container.view.hostId !== null;
};

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Places the container of an operation. If no host fits, returns the reason and changes nothing.
 *
 * @param options `skip`: requirements that are known not to fit now
 */
export const placeContainer = (
  deps: PlacementDependencies,
  input: WorkflowInput,
  { skip = NOTHING }: { readonly skip?: ReadonlySet<string> } = {},
): Promise<PlacementOutcome> =>
  retryOnConflict(async (): Promise<PlacementOutcome> => {
    const found = await readCurrentOperation(deps.table, input);
    if (found?.container === undefined || !isCurrent(found, input)) return { kind: 'superseded' };
    if (isUnwanted(found)) return { kind: 'unwanted' };
    if (isPlaced(found)) return { kind: 'placed-already' };
    const place = found.operation.view.kind === 'convert' ? reserveForConversionOf : tryToPlace;
    return place(deps, { operation: found.operation, container: found.container }, skip);
  });
