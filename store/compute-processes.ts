import type { ComputeProcess } from '../core/contract/compute-process.ts';
import {
  type IndexedContainer,
  parseContainer,
  parseRunningContainer,
  type StoredProcess,
} from './containers.ts';
import type { Cursors } from './cursor.ts';
import type { Item } from './item.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import type { Table } from './table.ts';

/** The compute process of a running container. It is a part of the container's item. */
export interface ComputeProcessRecord {
  readonly tenant: string;
  readonly containerId: string;
  readonly view: Omit<ComputeProcess, 'id' | 'containerId' | 'owner' | 'type'>;
}

const recordOf = ({ tenant, id, view }: IndexedContainer, process: StoredProcess): ComputeProcessRecord => ({
  tenant,
  containerId: id,
  view: {
    name: view.name,
    runtimeType: view.runtimeType,
    state: 'Running',
    hostId: view.hostId ?? '',
    ...process,
  },
});

/** The compute process of a container, if it is running. @param containerId lower-case */
export const getComputeProcess = async (
  table: Table,
  tenant: string,
  containerId: string,
): Promise<ComputeProcessRecord | undefined> => {
  const item = await table.get(keys.container(tenant, containerId));
  const container = item && parseContainer(item);
  return container?.process ? recordOf(container, container.process) : undefined;
};

const parseComputeProcess = (item: Item): ComputeProcessRecord => {
  const { process, ...container } = parseRunningContainer(item);
  return recordOf(container, process);
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
      parts: [{ index: 'gsi2', key: indexes.computeProcessesByName(tenant) }],
      parse: parseComputeProcess,
      ...(hostId !== undefined && { matches: ({ view }: ComputeProcessRecord) => view.hostId === hostId }),
    },
    request,
  );
