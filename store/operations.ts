import type { OperationKind, OperationState } from '../core/contract/operation.ts';
import { machineFor } from '../core/domain/workflows.ts';
import type { Cursors } from './cursor.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { parseOperation } from './parse.ts';
import type { ContainerRecord, OperationParameters, OperationRecord } from './records.ts';
import type { Table, Write } from './table.ts';
import { addOperation, deadlineFrom, replaceContainer, replaceOperation } from './transition.ts';

export interface OperationRequest {
  readonly id: string;
  readonly kind: Exclude<OperationKind, 'importImage'>;
  readonly actor: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

const PENDING = { state: 'Pending', reason: null, steps: [], error: null, endedAt: null } as const;

const accepted = (now: Date) => ({
  deadline: deadlineFrom(now),
  createdAt: now.toISOString(),
  updatedAt: now.toISOString(),
});

/** An operation on a container, accepted now. @param container as it is while the operation has it */
export const newOperation = (
  container: ContainerRecord,
  { id, kind, actor, parameters, now }: OperationRequest,
): OperationRecord => ({
  tenant: container.tenant,
  id,
  revision: 1,
  epoch: container.epoch,
  parameters,
  machine: machineFor({
    kind,
    runtimeType: container.view.runtimeType,
    start: parameters.start ?? false,
    restores: parameters.restores ?? false,
  }),
  after: null,
  placeToken: null,
  actor,
  view: {
    ...PENDING,
    kind,
    containerId: container.id,
    imageName: null,
    hostId: container.view.hostId,
    requestedBy: actor,
    ...accepted(now),
  },
});

export interface ImportRequest {
  readonly tenant: string;
  readonly id: string;
  readonly actor: string;
  readonly imageName: string;
  readonly hostId: string;
  readonly parameters: OperationParameters;
  readonly now: Date;
}

/** An import of an image by a host, accepted now. */
export const newImport = ({
  tenant,
  id,
  actor,
  imageName,
  hostId,
  parameters,
  now,
}: ImportRequest): OperationRecord => ({
  tenant,
  id,
  revision: 1,
  epoch: 0,
  parameters,
  machine: machineFor({ kind: 'importImage' }),
  after: null,
  placeToken: null,
  actor,
  view: {
    ...PENDING,
    kind: 'importImage',
    containerId: null,
    imageName,
    hostId,
    requestedBy: actor,
    ...accepted(now),
  },
});

export const getOperation = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const key = keys.operation(tenant, id);
  const item = (await table.get(key)) ?? (await table.get(key, { consistent: true }));
  return item && parseOperation(item);
};

/** For a decision, or for who waits: as it stands now. */
export const getOperationNow = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<OperationRecord | undefined> => {
  const item = await table.get(keys.operation(tenant, id), { consistent: true });
  return item && parseOperation(item);
};

export interface Begin {
  readonly before: ContainerRecord;
  /** With the operation as its active one. */
  readonly after: ContainerRecord;
  readonly operation: OperationRecord;
  readonly remember: readonly Write[];
  readonly token: string;
}

/**
 * Takes a container for an operation: both, and the kept answer, in one transaction.
 * @throws ConditionFailed at index 0 if the container is no longer as it was read
 */
export const beginOperation = (
  table: Table,
  { before, after, operation, remember, token }: Begin,
): Promise<void> =>
  table.transact([replaceContainer(before, after), addOperation(operation), ...remember], token);

/** Records an operation that had nothing to do, and the kept answer. */
export const recordOperation = (
  table: Table,
  operation: OperationRecord,
  remember: readonly Write[],
): Promise<void> => table.transact([addOperation(operation), ...remember], operation.id);

export interface Overtake extends Begin {
  /** The operation that has the container, as it was read, and as it is asked to end; null if it was already. */
  readonly active: { readonly before: OperationRecord; readonly after: OperationRecord } | null;
}

/**
 * Queues a removal behind the operation that has the container, and asks that one to end: in one transaction.
 * @throws ConditionFailed if container or operation are no longer as they were read
 */
export const overtakeOperation = (
  table: Table,
  { before, after, operation, remember, token, active }: Overtake,
): Promise<void> =>
  table.transact(
    [
      replaceContainer(before, after),
      addOperation(operation),
      ...(active === null ? [] : [replaceOperation(active.before, active.after)]),
      ...remember,
    ],
    token,
  );

export interface OperationFilters {
  readonly containerId?: string | undefined;
  readonly state?: OperationState | undefined;
}

/** Operations, newest first; of one container, or of all. */
export const listOperations = (
  table: Table,
  cursors: Cursors,
  tenant: string,
  { containerId, state }: OperationFilters,
  request: ListRequest,
): Promise<ListPage<OperationRecord>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'operations', filters: { containerId, state } },
      parts: [
        {
          ...(containerId === undefined
            ? { index: 'gsi1', key: indexes.operationsByTime(tenant) }
            : { index: 'gsi3', key: indexes.operationsByOwner(tenant, containerId) }),
          sort: 'any',
          descending: true,
        },
      ],
      parse: parseOperation,
      ...(state && { matches: ({ view }: OperationRecord) => view.state === state }),
    },
    request,
  );
