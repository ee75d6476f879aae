import type { Capacity } from '../core/contract/host.ts';
import type { Reservation } from '../core/domain/capacity.ts';
import { TooBusyError } from '../core/domain/errors.ts';
import { toAttribute } from './item.ts';
import { keys } from './keys.ts';
import { ConditionFailed, keyItem, type Write } from './table.ts';

/** An amount to reserve or release on a host; without a disk the host's free disk is unchanged. */
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
 * Releases a reservation. Commutes with every other change of `free`. The table's stream updates the host's place in the index
 * of ready hosts.
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

/** Reserves capacity if enough is free: the only place that decides whether a host has free capacity. */
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

/**
 * Retries of a transaction that also reserves capacity. The container can be placed later, so a request does not wait long
 * for a host that many requests compete for.
 */
export const RESERVE_RETRIES = 2;

/**
 * Whether a transaction failed because other requests took the capacity, or compete for the host.
 * @param index of the reservation in the transaction
 */
export const isReservationLost = (error: unknown, index: number): boolean =>
  error instanceof TooBusyError || (error instanceof ConditionFailed && error.index === index);

/** Checks that a host accepts containers, for a placement that reserves nothing. */
export const checkReady = (tenant: string, hostId: string): Write => ({
  check: {
    Key: keyItem(keys.host(tenant, hostId)),
    ConditionExpression: 'attribute_exists(gsi2pk)',
  },
});
