import type { OperationState } from '../core/contract/operation.ts';
import type { Cursors } from './cursor.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { parseOperation } from './parse.ts';
import type { OperationRecord } from './records.ts';
import type { Table } from './table.ts';

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

interface OperationFilters {
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
