import { toAttribute } from './item.ts';

/** The condition that an item still has the revision that was read. */
export const ifRevision = (revision: number) => ({
  ConditionExpression: 'revision = :revision',
  ExpressionAttributeValues: { ':revision': toAttribute(revision) },
});
