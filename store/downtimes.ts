import * as z from 'zod/mini';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { STORED_DOWNTIMES } from '../core/domain/conversion.ts';
import { createItem, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import type { OperationRecord } from './operations.ts';
import type { Table } from './table.ts';

const DowntimesSchema = z.object({ milliseconds: z.array(z.number()) });

export const readDowntimes = async (
  table: Table,
  tenant: string,
  hostId: string,
  to: RuntimeType,
): Promise<readonly number[]> => {
  const item = await table.get(keys.downtimes(tenant, hostId, to));
  return item === undefined ? [] : readItem('downtimes', DowntimesSchema, item).milliseconds;
};

/**
 * Stores the downtime of a conversion. Of two concurrent writes one may be lost, which is cheaper than keeping both.
 */
export const rememberDowntime = async (table: Table, { tenant, view }: OperationRecord): Promise<void> => {
  const { hostId, conversion } = view;
  if (hostId === null || !conversion || conversion.downtimeMs === null) return;
  const known = await readDowntimes(table, tenant, hostId, conversion.to);
  const milliseconds = [conversion.downtimeMs, ...known].slice(0, STORED_DOWNTIMES);
  await table.put({
    Item: createItem('downtimes', keys.downtimes(tenant, hostId, conversion.to), { milliseconds }),
  });
};
