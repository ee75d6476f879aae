import { ConflictError } from '../core/domain/errors.ts';
import { type HostRecord, type HostView, type IndexedHost, writeView } from './hosts.ts';
import { toAttribute } from './item.ts';
import { indexes, keys } from './keys.ts';
import { keyItem, type Table, type Write } from './table.ts';

/** Whether any container is on the host. */
const hasContainers = async (table: Table, tenant: string, hostId: string): Promise<boolean> => {
  const page = await table.query({
    index: 'gsi3',
    key: indexes.containersByHost(tenant, hostId),
    limit: 1,
  });
  return page.items.length > 0;
};

/** @throws ConflictError `host-in-use` */
export const checkUnused = async (table: Table, { tenant, id, view }: IndexedHost): Promise<void> => {
  if (!(await hasContainers(table, tenant, id))) return;
  throw new ConflictError('host-in-use', `Host "${view.name}" has containers.`, {
    suggestion: `Drain it, and remove its containers. List them with GET /v1/containers?hostId=${id}. If its agent has not been connected for the time of the lease, ?force=true removes them too.`,
    context: { hostId: id },
  });
};

/** Deletes the records of the host's images. */
const forgetImages = async (table: Table, tenant: string, hostId: string): Promise<void> => {
  for (;;) {
    const page = await table.query({ index: 'gsi2', key: indexes.imagesOfHost(tenant, hostId), limit: 25 });
    await Promise.all(
      page.items.map(({ pk, sk }) => table.remove({ Key: keyItem({ pk: pk?.S ?? '', sk: sk?.S ?? '' }) })),
    );
    if (page.after === undefined) return;
  }
};

/**
 * Deletes a host that has no containers. The host is first removed from the index that placement uses and then checked
 * again, so that no container can be placed on it in the meantime.
 *
 * @throws ConflictError `host-in-use`
 * @throws ConditionFailed if the host has changed since it was read
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
          // Reserved capacity belongs to a container, even if the index does not show that container yet.
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
