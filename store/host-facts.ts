import type { HostFacts } from '../core/contract/host.ts';
import { roomClass, subtract } from '../core/domain/capacity.ts';
import { stateWhenHeard } from '../core/domain/host-state.ts';
import { toAttribute, toItem } from './item.ts';
import { indexes, keys } from './keys.ts';
import { parseHost } from './parse.ts';
import type { HostRecord, HostView } from './records.ts';
import { keyItem, type Table, type Write } from './table.ts';
import { decideAgain } from './transition.ts';

/**
 * Changes of a host's item by what is heard of it, or not heard.
 *
 * Unlike other items it is never written whole: `free` belongs to the placements that go on at the same time. A change
 * of capacity moves `free` by the difference, so that capacity less reservations stays what is free.
 */
const readHost = async (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> => {
  const item = await table.get(keys.host(tenant, hostId), { consistent: true });
  return item && parseHost(item);
};

/** Equal as stored: order of members is no difference. */
const same = (a: HostView, b: HostView): boolean => canonical(a) === canonical(b);
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

/** The write that puts another view in the place of the one that was read, with the index keys that follow from it. */
export const writeView = (
  before: HostRecord,
  view: HostView,
  actor: string,
): Extract<Write, { update: object }> => {
  const { tenant, id } = before;
  const more = subtract(view.facts.capacity, before.view.facts.capacity);
  const takes = view.schedulable && view.state === 'Ready';
  const index = indexes.readyHosts(
    tenant,
    view.facts.os.family,
    roomClass(before.free.memoryMB + more.memoryMB),
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

/** A host as an index shows it leaves out its key only, which no change touches. */
const changeView = (
  table: Table,
  tenant: string,
  hostId: string,
  next: (view: HostView) => HostView,
): Promise<HostRecord | undefined> =>
  decideAgain(async () => {
    const before = await readHost(table, tenant, hostId);
    if (before === undefined || before.view.state === 'Lost') return before;
    const view = next(before.view);
    if (same(before.view, view)) return before;
    await table.update(writeView(before, view, `host:${hostId}`).update);
    return { ...before, view, revision: before.revision + 1 };
  });

/** What a host says of itself. @returns the host as it is then; undefined if there is none */
export const recordFacts = (
  table: Table,
  tenant: string,
  hostId: string,
  said: { readonly facts: HostFacts; readonly agentVersion: string },
): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({
    ...view,
    ...said,
    state: stateWhenHeard(view.schedulable),
  }));

/** A host that was silent is heard of again. */
export const recordHeard = (table: Table, tenant: string, hostId: string): Promise<HostRecord | undefined> =>
  changeView(table, tenant, hostId, (view) => ({ ...view, state: stateWhenHeard(view.schedulable) }));

/**
 * A host is silent: `Unknown`, and takes no containers.
 *
 * @param noticed marks the link, on the condition that the host has not been heard of since
 * @throws ConditionFailed if it has been heard of, or has changed
 */
export const recordSilence = (host: HostRecord, noticed: readonly Write[]): readonly Write[] => [
  writeView(host, { ...host.view, state: 'Unknown' }, 'bulkhead'),
  ...noticed,
];
