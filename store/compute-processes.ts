import * as z from 'zod/mini';
import {
  type ComputeProcess,
  ComputeProcessStateSchema,
  type WorkerProcess,
} from '../core/contract/compute-process.ts';
import { RuntimeTypeSchema } from '../core/contract/primitives.ts';
import type { ContainerRecord } from './containers.ts';
import type { Cursors } from './cursor.ts';
import type { Item } from './item.ts';
import { createItem, type Owned, orNull, readItem } from './item-format.ts';
import { indexAttributes, indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { keyItem, type Table, type Write } from './table.ts';

export interface ComputeProcessRecord {
  readonly tenant: string;
  readonly containerId: string;
  readonly revision: number;
  readonly view: Omit<ComputeProcess, 'id' | 'containerId' | 'owner' | 'type'>;
}

/** Worker process of compute processes and of command results. */
export const StoredWorkerProcessSchema: z.ZodMiniType<WorkerProcess> = z.object({
  pid: z.number(),
  name: z.string(),
  userName: z.string(),
});

/** The indexes project all of it. */
const ComputeProcessSchema: z.ZodMiniType<Omit<ComputeProcessRecord, 'containerId' | keyof Owned>> = z.object(
  {
    revision: z.number(),
    view: z.object({
      name: z.string(),
      runtimeType: RuntimeTypeSchema,
      state: ComputeProcessStateSchema,
      hostId: z.string(),
      startedAt: z.string(),
      workerProcess: orNull(StoredWorkerProcessSchema),
    }),
  },
);

/** From the table or from an index. @throws UnreadableItemError */
export const parseComputeProcess = (item: Item): ComputeProcessRecord => {
  const { id: containerId, ...rest } = readItem('computeProcess', ComputeProcessSchema, item);
  return { ...rest, containerId };
};

/** The whole item of a compute process, with every index key that follows from the record. */
export const computeProcessItem = ({ tenant, containerId, ...rest }: ComputeProcessRecord): Item => {
  const { name, hostId } = rest.view;
  return createItem('computeProcess', keys.computeProcess(tenant, containerId), {
    ...rest,
    ...indexAttributes('gsi1', indexes.computeProcessesByName(tenant, name)),
    ...indexAttributes('gsi3', indexes.computeProcessesByHost(tenant, hostId, name)),
  });
};

/** The compute process of a container, if it is running. @param containerId lower-case */
export const getComputeProcess = async (
  table: Table,
  tenant: string,
  containerId: string,
): Promise<ComputeProcessRecord | undefined> => {
  const item = await table.get(keys.computeProcess(tenant, containerId));
  return item && parseComputeProcess(item);
};

/** Compute processes by name; of one host, or of all. */
export const listComputeProcesses = (
  table: Table,
  cursors: Cursors,
  tenant: string,
  hostId: string | undefined,
  request: ListRequest,
): Promise<ListPage<ComputeProcessRecord>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'compute-processes', filters: { hostId } },
      parts: [
        hostId === undefined
          ? { index: 'gsi1', key: indexes.computeProcessesByName(tenant) }
          : { index: 'gsi3', key: indexes.computeProcessesByHost(tenant, hostId) },
      ],
      parse: parseComputeProcess,
    },
    request,
  );

export const putComputeProcess = (record: ComputeProcessRecord): Write => ({
  put: { Item: computeProcessItem(record) },
});

export const deleteComputeProcess = (record: ContainerRecord): Write => ({
  remove: { Key: keyItem(keys.computeProcess(record.tenant, record.id)) },
});
