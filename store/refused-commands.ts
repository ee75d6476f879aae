import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { REFUSAL_REASONS, type RefusalReason } from '../core/contract/agent/signed.ts';
import { TIMES } from '../core/contract/deployment.ts';
import type { Item } from './item.ts';
import { createItem, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { ConditionFailed, type Table } from './table.ts';
import { ttlAfterDays } from './time-to-live.ts';

/** A command that a host refused because it was not authentic. */
interface RefusedCommandRecord {
  readonly tenant: string;
  readonly hostId: string;
  /** The id in the refused message. */
  readonly commandId: string;
  readonly reason: RefusalReason;
  readonly at: string;
}

const RefusedCommandSchema = z.object({
  commandId: z.string(),
  reason: z.enum(REFUSAL_REASONS),
  at: z.string(),
});

const hashOf = ({ commandId, reason }: RefusedCommandRecord): string =>
  createHash('sha256').update(`${reason}:${commandId}`).digest('hex');

/**
 * Records a refusal once, even if its host repeats the report. The table's stream publishes an event.
 *
 * @returns whether it is new
 */
export const recordRefusedCommand = async (table: Table, record: RefusedCommandRecord): Promise<boolean> => {
  const { tenant, hostId, commandId, reason, at } = record;
  const ttl = ttlAfterDays(at, TIMES.eventRetentionDays);
  const key = keys.refusedCommand(tenant, hostId, hashOf(record));
  const item = createItem('refusedCommand', key, { revision: 1, commandId, reason, at, ttl });
  try {
    await table.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
    return true;
  } catch (error) {
    if (error instanceof ConditionFailed) return false;
    throw error;
  }
};

/** @throws UnreadableItemError */
export const parseRefusedCommand = (item: Item): RefusedCommandRecord => {
  const { id: hostId, ...rest } = readItem('refusedCommand', RefusedCommandSchema, item);
  return { ...rest, hostId };
};
