import type { Image } from '../core/contract/image.ts';
import { ConflictError } from '../core/domain/errors.ts';
import type { Cursors } from './cursor.ts';
import { fromItem, type Item, toAttribute } from './item.ts';
import { indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { parseImage } from './parse.ts';
import type { ImageRecord } from './records.ts';
import { keyItem, type Table, type Write } from './table.ts';

/** The image of that name, compared without regard to case. */
export const getImage = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<ImageRecord | undefined> => {
  const item = await table.get(keys.image(tenant, name));
  return item && parseImage(item);
};

export type ImageHolder = Image['hosts'][number];

/** An image and the hosts that hold it. */
export interface HeldImage {
  readonly image: ImageRecord;
  readonly hosts: readonly ImageHolder[];
}

/** Hosts that are named of an image that more hold. */
const HOSTS_SHOWN = 1000;
const HOLDER = 'H#';

const holderOf = (item: Item): ImageHolder => {
  const { hostId, digest } = fromItem(item).view as ImageHolder;
  return { hostId, digest };
};

/** Hosts that hold an image, by their ids; the first thousand. */
export const listHolders = async (table: Table, tenant: string, name: string): Promise<ImageHolder[]> => {
  const page = await table.query({
    key: { pk: keys.image(tenant, name).pk, sk: HOLDER },
    sort: 'prefix',
    limit: HOSTS_SHOWN,
  });
  return page.items.map(holderOf);
};

export const getHeldImage = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<HeldImage | undefined> => {
  const [image, hosts] = await Promise.all([getImage(table, tenant, name), listHolders(table, tenant, name)]);
  return image && { image, hosts };
};

/** Images by name, each with its hosts: half a read unit for each image beside the page itself. */
export const listImages = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  request: ListRequest,
): Promise<ListPage<HeldImage>> => {
  const page = await readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'images', filters: {} },
      parts: [{ index: 'gsi1', key: indexes.images(tenant) }],
      parse: parseImage,
    },
    request,
  );
  const items: HeldImage[] = [];
  for (let at = 0; at < page.items.length; at += 10)
    items.push(
      ...(await Promise.all(
        page.items
          .slice(at, at + 10)
          .map(async (image) => ({ image, hosts: await listHolders(table, tenant, image.view.name) })),
      )),
    );
  return { ...page, items };
};

/** @throws ConflictError `image-in-use` while any container, running or not, is made of the image */
export const checkImageUnused = async (table: Table, { tenant, view }: ImageRecord): Promise<void> => {
  const page = await table.query({
    index: 'gsi4',
    key: indexes.containersByImage(tenant, view.name),
    limit: 1,
  });
  const [user] = page.items;
  if (user === undefined) return;
  throw new ConflictError('image-in-use', `Containers are made of image "${view.name}".`, {
    suggestion: `Remove them first: GET /v1/containers?image=${encodeURIComponent(view.name)}.`,
  });
};

/**
 * Takes an image out of the catalogue.
 * @throws ConditionFailed at index 0 if it is no longer as it was read
 */
export const removeImage = async (
  table: Table,
  { image, hosts }: HeldImage,
  remember: readonly Write[],
  token: string,
): Promise<void> => {
  const { tenant, view, revision } = image;
  await table.transact(
    [
      {
        remove: {
          Key: keyItem(keys.image(tenant, view.name)),
          ConditionExpression: 'revision = :revision',
          ExpressionAttributeValues: { ':revision': toAttribute(revision) },
        },
      },
      ...remember,
    ],
    token,
  );
  for (const { hostId } of hosts)
    await table.remove({ Key: keyItem(keys.imageOnHost(tenant, view.name, hostId)) });
};
