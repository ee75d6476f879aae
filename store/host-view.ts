import { memoryClass, subtract } from '../core/domain/capacity.ts';
import { InvalidTransitionError } from '../core/domain/errors.ts';
import { canTransitionHost } from '../core/domain/host-state.ts';
import { toAttribute, toItem } from './item.ts';
import { indexes, keys } from './keys.ts';
import type { HostRecord, HostView } from './records.ts';
import { keyItem, type Write } from './table.ts';

/**
 * The write that puts another view in the place of the one that was read, with the index keys that follow from it.
 *
 * @throws InvalidTransitionError if the state table of hosts has no such transition
 */
export const writeView = (
  before: HostRecord,
  view: HostView,
  actor: string,
): Extract<Write, { update: object }> => {
  const { tenant, id } = before;
  if (!canTransitionHost(before.view.state, view.state))
    throw new InvalidTransitionError(`Host ${id}`, before.view.state, view.state);
  const more = subtract(view.facts.capacity, before.view.facts.capacity);
  const takes = view.schedulable && view.state === 'Ready';
  const index = indexes.readyHosts(
    tenant,
    view.facts.os.family,
    memoryClass(before.free.memoryMB + more.memoryMB),
    id,
  );
  return {
    update: {
      Key: keyItem(keys.host(tenant, id)),
      UpdateExpression: [
        'SET #view = :view, revision = :next, actor = :actor',
        ', #free.#memory = #free.#memory + :memory, #free.#cpus = #free.#cpus + :cpus',
        // An item from before disks were counted has none.
        ', #free.#disk = if_not_exists(#free.#disk, :zero) + :disk',
        takes ? ', gsi2pk = :pk, gsi2sk = :sk' : ' REMOVE gsi2pk, gsi2sk',
      ].join(''),
      ConditionExpression: 'revision = :revision',
      ExpressionAttributeNames: {
        '#view': 'view',
        '#free': 'free',
        '#memory': 'memoryMB',
        '#cpus': 'cpus',
        '#disk': 'diskMB',
      },
      ExpressionAttributeValues: {
        ':view': { M: toItem(view) },
        ':revision': toAttribute(before.revision),
        ':next': toAttribute(before.revision + 1),
        ':actor': toAttribute(actor),
        ':memory': toAttribute(more.memoryMB),
        ':cpus': toAttribute(more.cpus),
        ':disk': toAttribute(view.facts.capacity.diskMB - before.view.facts.capacity.diskMB),
        ':zero': toAttribute(0),
        ...(takes && { ':pk': toAttribute(index.pk), ':sk': toAttribute(index.sk) }),
      },
    },
  };
};
