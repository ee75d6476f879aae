import { TIMES } from '../core/contract/deployment.ts';
import type { Capacity } from '../core/contract/host.ts';
import type { OperationState } from '../core/contract/operation.ts';
import type { Room } from '../core/domain/capacity.ts';
import { TooBusyError } from '../core/domain/errors.ts';
import { toAttribute } from './item.ts';
import { keys } from './keys.ts';
import { computeProcessItem, containerItem, operationItem } from './put.ts';
import type {
  ComputeProcessRecord,
  ContainerRecord,
  ContainerView,
  OperationRecord,
  OperationView,
} from './records.ts';
import { ConditionFailed, keyItem, type Write } from './table.ts';

/**
 * The parts that every transition is made of: the next record from the one that was read, and the writes that
 * put it in its place only if nobody else was faster.
 */
export interface Stamp {
  readonly at: string;
  /** Who makes the change. */
  readonly actor: string;
}

type ContainerChange = Partial<Omit<ContainerRecord, 'view' | 'tenant' | 'id' | 'revision' | 'actor'>> & {
  readonly view?: Partial<ContainerView>;
};

export const nextContainer = (
  record: ContainerRecord,
  change: ContainerChange,
  { at, actor }: Stamp,
): ContainerRecord => ({
  ...record,
  ...change,
  revision: record.revision + 1,
  actor,
  view: { ...record.view, ...change.view, updatedAt: at },
});

type OperationChange = Partial<Omit<OperationRecord, 'view' | 'tenant' | 'id' | 'revision'>> & {
  readonly view?: Partial<OperationView>;
};

export const nextOperation = (
  record: OperationRecord,
  change: OperationChange,
  at: string,
): OperationRecord => ({
  ...record,
  ...change,
  revision: record.revision + 1,
  view: { ...record.view, ...change.view, updatedAt: at },
});

/** An operation at its end: in one terminal state, with nothing that it waits for. */
export const endedOperation = (
  record: OperationRecord,
  state: Extract<OperationState, 'Succeeded' | 'Failed' | 'Cancelled'>,
  given: Pick<OperationView, 'error' | 'steps' | 'conversion'>,
  at: string,
): OperationRecord =>
  nextOperation(
    record,
    { placeToken: null, after: null, view: { state, ...given, reason: null, endedAt: at } },
    at,
  );

const AS_READ = 'revision = :revision';
const asRead = (revision: number) => ({ ':revision': toAttribute(revision) });

export const replaceContainer = (before: ContainerRecord, after: ContainerRecord): Write => ({
  put: {
    Item: containerItem(after),
    ConditionExpression: AS_READ,
    ExpressionAttributeValues: asRead(before.revision),
  },
});

export const replaceOperation = (before: OperationRecord, after: OperationRecord): Write => ({
  put: {
    Item: operationItem(after),
    ConditionExpression: AS_READ,
    ExpressionAttributeValues: asRead(before.revision),
  },
});

export const addOperation = (record: OperationRecord): Write => ({
  put: { Item: operationItem(record), ConditionExpression: 'attribute_not_exists(pk)' },
});

export const deleteContainer = (record: ContainerRecord): readonly Write[] => [
  {
    remove: {
      Key: keyItem(keys.container(record.tenant, record.id)),
      ConditionExpression: AS_READ,
      ExpressionAttributeValues: asRead(record.revision),
    },
  },
  { remove: { Key: keyItem(keys.containerName(record.tenant, record.view.name)) } },
];

export const putComputeProcess = (record: ComputeProcessRecord): Write => ({
  put: { Item: computeProcessItem(record) },
});

export const deleteComputeProcess = (record: ContainerRecord): Write => ({
  remove: { Key: keyItem(keys.computeProcess(record.tenant, record.id)) },
});

/** What is taken of a host or given back to it; without a disk, that of the host stays as it is. */
export type RoomChange = Room & Partial<Pick<Capacity, 'diskMB'>>;

const hasDisk = ({ diskMB = 0 }: RoomChange): boolean => diskMB !== 0;
const roomNames = (room: RoomChange) => ({
  '#free': 'free',
  '#memory': 'memoryMB',
  '#cpus': 'cpus',
  ...(hasDisk(room) && { '#disk': 'diskMB' }),
});
const roomValues = ({ memoryMB, cpus, diskMB = 0 }: RoomChange) => ({
  ':memory': toAttribute(memoryMB),
  ':cpus': toAttribute(cpus),
  ...(diskMB !== 0 && { ':disk': toAttribute(diskMB) }),
});
const moveRoom = (room: RoomChange, sign: '+' | '-'): string =>
  [
    `SET #free.#memory = #free.#memory ${sign} :memory`,
    `#free.#cpus = #free.#cpus ${sign} :cpus`,
    ...(hasDisk(room) ? [`#free.#disk = #free.#disk ${sign} :disk`] : []),
  ].join(', ');

/**
 * Gives back what a reservation took. Commutes with every other change of `free`. The host's place in the index
 * of ready hosts follows on the table's stream.
 */
export const giveRoom = (tenant: string, hostId: string, room: RoomChange): Write => ({
  update: {
    Key: keyItem(keys.host(tenant, hostId)),
    UpdateExpression: moveRoom(room, '+'),
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeNames: roomNames(room),
    ExpressionAttributeValues: roomValues(room),
  },
});

/** Takes room if there is enough: the one place that decides whether a host has room. */
export const takeRoom = (
  tenant: string,
  hostId: string,
  room: RoomChange,
  options: { readonly onlyIfReady: boolean; readonly newRoomKey?: string | undefined },
): Write => ({
  update: {
    Key: keyItem(keys.host(tenant, hostId)),
    UpdateExpression: moveRoom(room, '-') + (options.newRoomKey === undefined ? '' : ', gsi2sk = :room'),
    ConditionExpression: [
      '#free.#memory >= :memory AND #free.#cpus >= :cpus',
      ...(hasDisk(room) ? ['#free.#disk >= :disk'] : []),
      ...(options.onlyIfReady ? ['attribute_exists(gsi2pk)'] : []),
    ].join(' AND '),
    ExpressionAttributeNames: roomNames(room),
    ExpressionAttributeValues: {
      ...roomValues(room),
      ...(options.newRoomKey !== undefined && { ':room': toAttribute(options.newRoomKey) }),
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

/** More than one other writer of the same container within one transition is rare; so many mean trouble. */
const DECISIONS = 6;

/**
 * Runs `decide`, which reads, decides and writes, again for as long as somebody else was faster.
 *
 * @throws TooBusyError if somebody always was
 */
export const decideAgain = async <T>(decide: () => Promise<T>): Promise<T> => {
  for (let round = 1; ; round += 1) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      if (round === DECISIONS)
        throw new TooBusyError('Others keep changing the same container.', { cause: error });
    }
  }
};

export const deadlineFrom = (now: Date): string =>
  new Date(now.getTime() + TIMES.operationDeadlineSeconds * 1000).toISOString();
