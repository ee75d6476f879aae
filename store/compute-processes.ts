import type { Cursors } from './cursor.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { parseComputeProcess } from './parse.ts';
import type { ComputeProcessRecord } from './records.ts';
import type { Table } from './table.ts';

/** The compute process of a container, if it runs. @param containerId lower-case */
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
