import type { RuntimeType } from '../core/contract/primitives.ts';
import { REMEMBERED_DOWNTIMES } from '../core/domain/conversion.ts';
import { fromItem, toItem } from './item.ts';
import { keys } from './keys.ts';
import type { OperationRecord } from './records.ts';
import type { Table } from './table.ts';

export const readDowntimes = async (
  table: Table,
  tenant: string,
  hostId: string,
  to: RuntimeType,
): Promise<readonly number[]> => {
  const item = await table.get(keys.downtimes(tenant, hostId, to));
  return item === undefined ? [] : ((fromItem(item).milliseconds as number[] | undefined) ?? []);
};

/**
 * Remembers what a conversion took. Not exact on purpose: of two at once one may be lost, and that is cheaper than
 * keeping both.
 */
export const rememberDowntime = async (table: Table, { tenant, view }: OperationRecord): Promise<void> => {
  const { hostId, conversion } = view;
  if (hostId === null || !conversion || conversion.downtimeMs === null) return;
  const known = await readDowntimes(table, tenant, hostId, conversion.to);
  const milliseconds = [conversion.downtimeMs, ...known].slice(0, REMEMBERED_DOWNTIMES);
  await table.put({
    Item: toItem({ ...keys.downtimes(tenant, hostId, conversion.to), entity: 'downtimes', milliseconds }),
  });
};
