import type { ComputeProcess } from '../core/contract/compute-process.ts';
import { type IndexedContainer, parseContainer, parseWithProcess, type StoredProcess } from './containers.ts';
import type { Cursors } from './cursor.ts';
import { indexes, keys, listShards } from './keys.ts';
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

/** Compute processes by name; of one host, or of all. */
export const listComputeProcesses = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  hostId: string | undefined,
  request: ListRequest,
): Promise<ListPage<ComputeProcessRecord>> => {
  const page = await readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'compute-processes', filters: { hostId } },
      source:
        hostId === undefined
          ? { index: 'gsi1', shards: listShards.containersByName(tenant) }
          : { index: 'gsi3', shards: [indexes.containersByHost(tenant, hostId).pk] },
      parse: parseWithProcess,
      matches: ({ process }) => process !== null,
    },
    request,
  );
  return {
    ...page,
    items: page.items.flatMap(({ process, ...container }) => (process ? [recordOf(container, process)] : [])),
  };
};
