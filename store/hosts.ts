import { ConflictError } from '../core/domain/errors.ts';
import type { Cursors } from './cursor.ts';
import { writeView } from './host-view.ts';
import { toAttribute, toItem } from './item.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { parseHost, parseHostLink } from './parse.ts';
import { hostItem } from './put.ts';
import type { HostLinkRecord, HostRecord, HostView } from './records.ts';
import { keyItem, type Table, type Write } from './table.ts';

/** A host and what is known of its connection. */
export interface LinkedHost {
  readonly host: HostRecord;
  readonly link: HostLinkRecord | undefined;
}

export const getHost = async (table: Table, tenant: string, id: string): Promise<HostRecord | undefined> => {
  const item = await table.get(keys.host(tenant, id));
  return item && parseHost(item);
};

/** Host and link, as they stand now. */
export const getLinkedHost = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<LinkedHost | undefined> => {
  const [host, link] = await Promise.all([
    table.get(keys.host(tenant, id), { consistent: true }),
    table.get(keys.hostLink(tenant, id)),
  ]);
  return host && { host: parseHost(host), link: link && parseHostLink(link) };
};

/** A batch has at most this many keys. */
const BATCH = 100;

const getLinks = async (
  table: Table,
  tenant: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, HostLinkRecord>> => {
  const batches = Array.from({ length: Math.ceil(ids.length / BATCH) }, (_, at) =>
    ids.slice(at * BATCH, (at + 1) * BATCH),
  );
  const found = await Promise.all(
    batches.map((batch) => table.batchGet(batch.map((id) => keys.hostLink(tenant, id)))),
  );
  return new Map(found.flat().map((item) => [parseHostLink(item).hostId, parseHostLink(item)]));
};

/** Hosts by name, with their links: half a read unit for each beside the page itself. */
export const listHosts = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  request: ListRequest,
): Promise<ListPage<LinkedHost>> => {
  const page = await readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'hosts', filters: {} },
      parts: [{ index: 'gsi1', key: indexes.hostsByName(tenant), sort: 'any' }],
      parse: parseHost,
    },
    request,
  );
  const links = await getLinks(
    table,
    tenant,
    page.items.map(({ id }) => id),
  );
  return { ...page, items: page.items.map((host) => ({ host, link: links.get(host.id) })) };
};

/**
 * Another view in the place of the one that was read. `free` is left to the placements that go on meanwhile.
 * @throws ConditionFailed at index 0 if the host is no longer as it was read
 */
export const updateHost = (
  table: Table,
  { before, view, actor }: { readonly before: HostRecord; readonly view: HostView; readonly actor: string },
  remember: readonly Write[],
  token: string,
): Promise<void> => table.transact([writeView(before, view, actor), ...remember], token);

/** Any container that is on the host. */
const hasContainers = async (table: Table, tenant: string, hostId: string): Promise<boolean> => {
  const page = await table.query({
    index: 'gsi3',
    key: indexes.containersByHost(tenant, hostId),
    limit: 1,
  });
  return page.items.length > 0;
};

/** @throws ConflictError `host-in-use` */
export const checkUnused = async (table: Table, { tenant, id, view }: HostRecord): Promise<void> => {
  if (!(await hasContainers(table, tenant, id))) return;
  throw new ConflictError('host-in-use', `Host "${view.name}" has containers.`, {
    suggestion: `Drain it, and remove its containers: GET /v1/containers?hostId=${id}.`,
    context: { hostId: id },
  });
};

/** That the host holds images is forgotten with it. */
const forgetImages = async (table: Table, tenant: string, hostId: string): Promise<void> => {
  for (;;) {
    const page = await table.query({ index: 'gsi3', key: indexes.imagesOfHost(tenant, hostId), limit: 25 });
    await Promise.all(
      page.items.map(({ pk, sk }) => table.remove({ Key: keyItem({ pk: pk?.S ?? '', sk: sk?.S ?? '' }) })),
    );
    if (page.after === undefined) return;
  }
};

/**
 * Forgets a host that has no containers. It is first taken out of the index that placements choose from, and looked
 * at again after that, so that no container can be placed there in between.
 *
 * @throws ConflictError `host-in-use`
 * @throws ConditionFailed if the host is no longer as it was read
 */
export const removeHost = async (
  table: Table,
  { before, actor }: { readonly before: HostRecord; readonly actor: string },
  remember: readonly Write[],
  token: string,
): Promise<void> => {
  const { tenant, id, view } = before;
  await checkUnused(table, before);
  const closed: HostView = { ...view, schedulable: false };
  await table.update(writeView(before, closed, actor).update);
  const unplaceable: HostRecord = { ...before, view: closed, revision: before.revision + 1 };
  try {
    await checkUnused(table, unplaceable);
  } catch (error) {
    await table.update(writeView(unplaceable, view, actor).update);
    throw error;
  }
  await forgetImages(table, tenant, id);
  await table.transact(
    [
      {
        remove: {
          Key: keyItem(keys.host(tenant, id)),
          // What is reserved is somebody's, even if the index doesn't show whose yet.
          ConditionExpression: 'revision = :revision AND #free.#memory >= :capacity AND #free.#disk >= :disk',
          ExpressionAttributeNames: { '#free': 'free', '#memory': 'memoryMB', '#disk': 'diskMB' },
          ExpressionAttributeValues: {
            ':revision': toAttribute(unplaceable.revision),
            ':capacity': toAttribute(view.facts.capacity.memoryMB),
            ':disk': toAttribute(view.facts.capacity.diskMB),
          },
        },
      },
      { remove: { Key: keyItem(keys.hostLink(tenant, id)) } },
      ...remember,
    ],
    token,
  );
};

/** The writes that add a host, which has never been heard of yet. */
export const addHost = (host: HostRecord): readonly Write[] => [
  { put: { Item: hostItem(host), ConditionExpression: 'attribute_not_exists(pk)' } },
  { put: { Item: toItem({ ...keys.hostLink(host.tenant, host.id), entity: 'hostLink' }) } },
];
