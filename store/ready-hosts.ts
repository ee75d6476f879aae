import { memoryClass } from '../core/domain/capacity.ts';
import type { HostRecord } from './hosts.ts';
import { type Item, toAttribute } from './item.ts';
import { indexes, keys } from './keys.ts';
import { ConditionFailed, keyItem, type Table } from './table.ts';

/** Whether a host's place in the index of ready hosts does not match its free memory. */
export const isMisplaced = (item: Item, host: HostRecord): boolean =>
  item.gsi2sk?.S !== undefined && item.gsi2sk.S !== `${memoryClass(host.free.memoryMB)}#${host.id}`;

/** Moves a host to the place for its free memory, if the memory has not changed. */
export const repairReadyKey = async (table: Table, host: HostRecord): Promise<void> => {
  const { tenant, id, free, view } = host;
  try {
    await table.update({
      Key: keyItem(keys.host(tenant, id)),
      UpdateExpression: 'SET gsi2sk = :room',
      ConditionExpression: 'attribute_exists(gsi2pk) AND #free.#memory = :memory',
      ExpressionAttributeNames: { '#free': 'free', '#memory': 'memoryMB' },
      ExpressionAttributeValues: {
        ':room': toAttribute(
          indexes.readyHosts(tenant, view.facts.os.family, memoryClass(free.memoryMB), id).sk,
        ),
        ':memory': toAttribute(free.memoryMB),
      },
    });
  } catch (error) {
    // It has changed since, and that change causes another call.
    if (!(error instanceof ConditionFailed)) throw error;
  }
};
