import type { Capacity, HostFacts } from '../contract/host.ts';
import type { RuntimeType } from '../contract/primitives.ts';

/** The reservation of a running container on its host. */
export type Reservation = Pick<Capacity, 'memoryMB' | 'cpus'>;

export const NO_RESERVATION: Reservation = { memoryMB: 0, cpus: 0 };

/**
 * The reservation of a running container: its own memory and CPUs and, for HyperV, the overhead of the utility VM (kernel,
 * guest agent, VM process).
 */
export const reservationFor = (
  resources: Reservation,
  runtimeType: RuntimeType,
  host: Pick<HostFacts, 'utilityVmOverheadMB'>,
): Reservation => ({
  memoryMB: resources.memoryMB + (runtimeType === 'HyperV' ? host.utilityVmOverheadMB : 0),
  cpus: resources.cpus,
});

/** Disk in addition to the writable layer, in MiB: the log (two files of 4 MiB) and records. */
const DISK_OVERHEAD_MB = 16;

/** The disk reservation of a container, running or not, in MiB. */
export const diskFor = (resources: Pick<Capacity, 'diskMB'>): number => resources.diskMB + DISK_OVERHEAD_MB;

export const fits = (need: Capacity, free: Capacity): boolean =>
  reservationFits(need, free) && need.diskMB <= free.diskMB;

export const reservationFits = (need: Reservation, free: Reservation): boolean =>
  need.memoryMB <= free.memoryMB && need.cpus <= free.cpus;

export const subtract = (a: Reservation, b: Reservation): Reservation => ({
  memoryMB: a.memoryMB - b.memoryMB,
  cpus: roundCpus(a.cpus - b.cpus),
});

/** CPUs are rounded to a thousandth, so that subtracting what was added restores the exact value. */
export const roundCpus = (cpus: number): number => Math.round(cpus * 1000) / 1000;

/**
 * Memory class of a host: sorts hosts in the placement index by free memory, coarsely (powers of two of MiB),
 * so that most reservations do not change the index key. Two digits.
 */
export const memoryClass = (freeMemoryMB: number): string =>
  String(freeMemoryMB < 1 ? 0 : Math.floor(Math.log2(freeMemoryMB)) + 1).padStart(2, '0');
