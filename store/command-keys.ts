import * as z from 'zod/mini';
import { type Signed, SignedSchema } from '../core/contract/agent/signed.ts';
import { createItem, readEach, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { ConditionFailed, type Table } from './table.ts';

/**
 * Announcements of keys that sign commands: each has the successor of the key that signs it. They are kept forever, so
 * that a host that was disconnected during several rotations can follow them from its key. They need no protection here:
 * a host verifies each, and without one it keeps its key.
 */
export const putNextKey = async (table: Table, announcement: Signed): Promise<void> => {
  const item = createItem('commandKey', keys.commandKey(announcement.keyId), { announcement });
  try {
    await table.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
  }
};

const CommandKeySchema = z.object({ announcement: SignedSchema });

/** All readable announcements, in no particular order. Hosts can follow most rotations without the others. */
export const listNextKeys = async (table: Table): Promise<readonly Signed[]> => {
  const page = await table.query({ key: keys.commandKey(), sort: 'any' });
  return readEach(table, page.items, (item) => readItem('commandKey', CommandKeySchema, item).announcement);
};
