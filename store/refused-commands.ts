import { createHash } from 'node:crypto';
import { TIMES } from '../core/contract/deployment.ts';
import { fromItem, type Item, toItem } from './item.ts';
import { keys, parsePartitionKey } from './keys.ts';
import type { RefusedCommandRecord } from './records.ts';
import { ConditionFailed, type Table } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

const hashOf = ({ commandId, reason }: RefusedCommandRecord): string =>
  createHash('sha256').update(`${reason}:${commandId}`).digest('hex');

/**
 * Records a refusal once, however often its host reports it. The table's stream makes an event of it.
 *
 * @returns whether it is new
 */
export const recordRefusedCommand = async (table: Table, record: RefusedCommandRecord): Promise<boolean> => {
  const { tenant, hostId, commandId, reason, at } = record;
  const ttl = ttlAfterDays(at, TIMES.eventRetentionDays);
  const key = keys.refusedCommand(tenant, hostId, hashOf(record));
  const item = toItem({ ...key, entity: 'refusedCommand', revision: 1, commandId, reason, at, ttl });
  try {
    await table.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
    return true;
  } catch (error) {
    if (error instanceof ConditionFailed) return false;
    throw error;
  }
};

export const parseRefusedCommand = (item: Item): RefusedCommandRecord => {
  const { pk, commandId, reason, at } = fromItem(item) as unknown as RefusedCommandRecord & { pk: string };
  const { tenant, id: hostId } = parsePartitionKey(pk);
  return { tenant, hostId, commandId, reason, at };
};
