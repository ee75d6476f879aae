import type { Capacity, HostFacts } from '../contract/host.ts';
import type { RuntimeType } from '../contract/primitives.ts';

/**
 * What a container takes of its host: its own memory and processors and, under HyperV, the memory that
 * the utility VM needs beside it (kernel, guest agent, VM process).
 */
export const reservationFor = (
  resources: Capacity,
  runtimeType: RuntimeType,
  host: Pick<HostFacts, 'utilityVmOverheadMB'>,
): Capacity => ({
  memoryMB: resources.memoryMB + (runtimeType === 'HyperV' ? host.utilityVmOverheadMB : 0),
  cpus: resources.cpus,
});

export const fits = (need: Capacity, free: Capacity): boolean =>
  need.memoryMB <= free.memoryMB && need.cpus <= free.cpus;

export const subtract = (a: Capacity, b: Capacity): Capacity => ({
  memoryMB: a.memoryMB - b.memoryMB,
  cpus: roundCpus(a.cpus - b.cpus),
});

/** Processors are kept to a thousandth, so that adding and taking away the same amount is exact. */
export const roundCpus = (cpus: number): number => Math.round(cpus * 1000) / 1000;

/**
 * Room class of a host: sorts hosts in the placement index by free memory, coarsely (powers of two of MiB),
 * so that most reservations leave the index key alone. Two digits.
 */
export const roomClass = (freeMemoryMB: number): string =>
  String(freeMemoryMB < 1 ? 0 : Math.floor(Math.log2(freeMemoryMB)) + 1).padStart(2, '0');
