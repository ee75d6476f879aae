import { type Signed, SignedSchema } from '../core/contract/agent/signed.ts';
import { fromItem, toItem } from './item.ts';
import { keys } from './keys.ts';
import { ConditionFailed, type Table } from './table.ts';

/**
 * Announcements of keys that sign commands: each names the key that followed the one that signs it. They are kept for
 * ever, so that a host that was away during several rotations can follow them from the key that it knows. They need no
 * protection here: a host verifies each, and without one it stays with the key that it has.
 */
export const putNextKey = async (table: Table, announcement: Signed): Promise<void> => {
  const item = toItem({ ...keys.commandKey(announcement.keyId), entity: 'commandKey', announcement });
  try {
    await table.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
  }
};

/** Every announcement, in no order. What is none is left out: a host could not read the message that holds it. */
export const listNextKeys = async (table: Table): Promise<readonly Signed[]> => {
  const page = await table.query({ key: keys.commandKey(), sort: 'any' });
  return page.items.flatMap((item) => SignedSchema.safeParse(fromItem(item).announcement).data ?? []);
};
