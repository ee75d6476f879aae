import type { Capacity } from '../core/contract/host.ts';
import type { Reservation } from '../core/domain/capacity.ts';
import { toAttribute } from './item.ts';
import { keys } from './keys.ts';
import { keyItem, type Write } from './table.ts';

/** What is taken of a host or given back to it; without a disk, that of the host stays as it is. */
export type CapacityChange = Reservation & Partial<Pick<Capacity, 'diskMB'>>;

const hasDisk = ({ diskMB = 0 }: CapacityChange): boolean => diskMB !== 0;

const capacityNames = (room: CapacityChange) => ({
  '#free': 'free',
  '#memory': 'memoryMB',
  '#cpus': 'cpus',
  ...(hasDisk(room) && { '#disk': 'diskMB' }),
});

const capacityValues = ({ memoryMB, cpus, diskMB = 0 }: CapacityChange) => ({
  ':memory': toAttribute(memoryMB),
  ':cpus': toAttribute(cpus),
  ...(diskMB !== 0 && { ':disk': toAttribute(diskMB) }),
});

const capacityUpdate = (room: CapacityChange, sign: '+' | '-'): string =>
  [
    `SET #free.#memory = #free.#memory ${sign} :memory`,
    `#free.#cpus = #free.#cpus ${sign} :cpus`,
    ...(hasDisk(room) ? [`#free.#disk = #free.#disk ${sign} :disk`] : []),
  ].join(', ');

/**
 * Gives back what a reservation took. Commutes with every other change of `free`. The host's place in the index
 * of ready hosts follows on the table's stream.
 */
export const releaseCapacity = (tenant: string, hostId: string, room: CapacityChange): Write => ({
  update: {
    Key: keyItem(keys.host(tenant, hostId)),
    UpdateExpression: capacityUpdate(room, '+'),
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeNames: capacityNames(room),
    ExpressionAttributeValues: capacityValues(room),
  },
});

/** Takes room if there is enough: the one place that decides whether a host has room. */
export const reserveCapacity = (
  tenant: string,
  hostId: string,
  room: CapacityChange,
  options: { readonly onlyIfReady: boolean; readonly newReadyKey?: string | undefined },
): Write => ({
  update: {
    Key: keyItem(keys.host(tenant, hostId)),
    UpdateExpression:
      capacityUpdate(room, '-') + (options.newReadyKey === undefined ? '' : ', gsi2sk = :room'),
    ConditionExpression: [
      '#free.#memory >= :memory AND #free.#cpus >= :cpus',
      ...(hasDisk(room) ? ['#free.#disk >= :disk'] : []),
      ...(options.onlyIfReady ? ['attribute_exists(gsi2pk)'] : []),
    ].join(' AND '),
    ExpressionAttributeNames: capacityNames(room),
    ExpressionAttributeValues: {
      ...capacityValues(room),
      ...(options.newReadyKey !== undefined && { ':room': toAttribute(options.newReadyKey) }),
    },
  },
});

/** That a host takes containers; for a placement that takes nothing more. */
export const checkReady = (tenant: string, hostId: string): Write => ({
  check: {
    Key: keyItem(keys.host(tenant, hostId)),
    ConditionExpression: 'attribute_exists(gsi2pk)',
  },
});
