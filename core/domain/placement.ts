import type { Capacity, HostFacts, HostState } from '../contract/host.ts';
import type { ImageFacts } from '../contract/image.ts';
import { type Labels, NO_SWITCH, type PlacementRequest, type RuntimeType } from '../contract/primitives.ts';
import { fits, type Reservation, reservationFor, roundCpus } from './capacity.ts';
import { imageMismatch } from './image-compatibility.ts';
import { caseInsensitiveKey } from './names.ts';

/** A host of a sample, whose free capacity is not known yet. */
export interface SampledHost {
  readonly id: string;
  readonly name: string;
  readonly facts: HostFacts;
  readonly labels: Labels;
  readonly schedulable: boolean;
  readonly state: HostState;
}

export interface Candidate extends SampledHost {
  /** Whether its agent is connected, or may reconnect at once. */
  readonly connected: boolean;
  readonly free: Capacity;
}

export interface PlacementNeed {
  readonly image: ImageFacts;
  readonly runtimeType: RuntimeType;
  readonly resources: Reservation;
  /** Disk to reserve, in MiB; 0 for a container that already has its disk. */
  readonly diskMB: number;
  readonly switchName: string;
  readonly placement: PlacementRequest;
  /** False for a container that is created but not started. It needs a host and disk, but no memory or CPUs yet. */
  readonly reserve: boolean;
}

/** The capacity to reserve for the container on this host. */
export const reservationOn = (host: Pick<Candidate, 'facts'>, need: PlacementNeed): Capacity => {
  const reserved = need.reserve
    ? reservationFor(need.resources, need.runtimeType, host.facts)
    : { memoryMB: 0, cpus: 0 };
  return { memoryMB: reserved.memoryMB, cpus: roundCpus(reserved.cpus), diskMB: need.diskMB };
};

const describe = ({ memoryMB, cpus, diskMB }: Capacity, need: PlacementNeed): string =>
  [
    ...(need.reserve ? [`${memoryMB} MiB`, `${cpus} CPUs`] : []),
    ...(need.diskMB > 0 ? [`${diskMB} MiB of disk`] : []),
  ].join(', ');

/** Why a host can never run a container, or null. {@link lacksCapacity} checks the free capacity. */
export const unsuitable = (host: SampledHost, need: PlacementNeed): string | null => {
  const { placement } = need;
  if (placement.hostId !== undefined && placement.hostId !== host.id) return 'it is not the requested host';
  for (const [key, value] of Object.entries(placement.hostLabels ?? {}))
    if (host.labels[key] !== value) return `its label ${key} is not ${value}`;
  if (!host.facts.capabilities.runtimeTypes.includes(need.runtimeType))
    return `it cannot run ${need.runtimeType}`;
  const wanted = caseInsensitiveKey(need.switchName);
  if (wanted !== NO_SWITCH && !host.facts.switches.some((name) => caseInsensitiveKey(name) === wanted))
    return `it has no switch "${need.switchName}"`;
  return imageMismatch(need.image, host.facts, need.runtimeType);
};

/** Why a suitable host cannot run the container now, or null. */
export const lacksCapacity = (host: Candidate, need: PlacementNeed): string | null => {
  if (host.state !== 'Ready' || !host.schedulable)
    return `it is ${host.state}${host.schedulable ? '' : ' and not schedulable'}`;
  if (!host.connected) return 'its agent is not connected';
  const wanted = reservationOn(host, need);
  return fits(wanted, host.free)
    ? null
    : `it has ${describe(host.free, need)} free, but the container needs ${describe(wanted, need)}`;
};

const freeShare = ({ free, facts }: Candidate): number =>
  free.memoryMB / Math.max(1, facts.capacity.memoryMB) + free.cpus / Math.max(1, facts.capacity.cpus);

/**
 * The order in which to try the hosts that fit: power of two choices. Draws two hosts at random, puts the one with more
 * free capacity first, then draws the next two.
 * @param random returns a number in [0, 1)
 */
export const orderByTwoChoices = (
  hosts: readonly Candidate[],
  need: PlacementNeed,
  random: () => number,
): Candidate[] => {
  const left = hosts.filter((host) => unsuitable(host, need) === null && lacksCapacity(host, need) === null);
  const ordered: Candidate[] = [];
  const draw = () => left.splice(Math.floor(random() * left.length), 1);
  while (left.length > 0) {
    const pair = [...draw(), ...(left.length > 0 ? draw() : [])];
    ordered.push(...pair.sort((a, b) => freeShare(b) - freeShare(a)));
  }
  return ordered;
};

/** Why no host fits, for the operation's `reason`. */
export const explainNoFit = (hosts: readonly Candidate[], need: PlacementNeed): string => {
  if (hosts.length === 0) return 'no enrolled host can run this image';
  const reasons = hosts.map(
    (host) =>
      `${host.name}: ${unsuitable(host, need) ?? lacksCapacity(host, need) ?? 'its free capacity was taken in the meantime'}`,
  );
  const shown = reasons.slice(0, 3).join('; ');
  return `waiting for capacity: ${shown}${reasons.length > 3 ? `; and ${reasons.length - 3} more` : ''}`;
};
