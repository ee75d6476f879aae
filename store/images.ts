import * as z from 'zod/mini';
import { ArchitectureSchema, OsFamilySchema } from '../core/contract/host.ts';
import type { Image, ImageConfig, ImageFacts } from '../core/contract/image.ts';
import { ConflictError } from '../core/domain/errors.ts';
import type { Cursors } from './cursor.ts';
import type { Item } from './item.ts';
import { createItem, type Owned, readItem } from './item-format.ts';
import { indexAttributes, indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { ifRevision } from './revision.ts';
import { keyItem, type Table, type Write } from './table.ts';

/** An image as read from an index. */
export interface IndexedImage {
  readonly tenant: string;
  readonly revision: number;
  readonly view: Omit<ImageFacts, 'config'> & { readonly createdAt: string };
}

export interface ImageRecord extends IndexedImage {
  /** Not in the view, because lists do not show it. */
  readonly config?: ImageConfig | undefined;
  readonly actor: string;
}

const StoredConfigSchema: z.ZodMiniType<ImageConfig> = z.object({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  env: z.array(z.string()),
  workingDir: z.string(),
  user: z.string(),
  stopSignal: z.string(),
});

/** The members of images that lists show. */
const LISTED_FACTS = {
  name: z.string(),
  version: z.string(),
  os: OsFamilySchema,
  osBuild: z.number(),
  architecture: ArchitectureSchema,
  source: z.string(),
  digest: z.string(),
};

/** Schema members for the results of commands. */
export const STORED_IMAGE_FACTS = { ...LISTED_FACTS, config: z.optional(StoredConfigSchema) };

const INDEXED = {
  revision: z.number(),
  view: z.object({ ...LISTED_FACTS, createdAt: z.string() }),
};
const IndexedSchema: z.ZodMiniType<Omit<IndexedImage, keyof Owned>> = z.object(INDEXED);
const ImageSchema: z.ZodMiniType<Omit<ImageRecord, keyof Owned>> = z.object({
  ...INDEXED,
  config: z.optional(StoredConfigSchema),
  actor: z.string(),
});

/** A host that holds an image, with the digest, which can differ between hosts. Indexes project all attributes. */
const ImageOnHostSchema = z.object({
  view: z.object({ name: z.string(), digest: z.string(), hostId: z.string() }),
});

/** @throws UnreadableItemError */
export const parseImage = (item: Item): ImageRecord => {
  const { id: _, ...image } = readItem('image', ImageSchema, item);
  return image;
};

const parseIndexedImage = (item: Item): IndexedImage => {
  const { id: _, ...image } = readItem('image', IndexedSchema, item);
  return image;
};

/** Accepts an item of the table or of an index. @throws UnreadableItemError */
export const parseImageOnHost = (item: Item): z.infer<typeof ImageOnHostSchema>['view'] =>
  readItem('imageOnHost', ImageOnHostSchema, item).view;

/** The complete item of an image, with all index keys derived from the record. */
export const imageItem = ({ tenant, ...rest }: ImageRecord): Item =>
  createItem('image', keys.image(tenant, rest.view.name), {
    ...rest,
    ...indexAttributes('gsi1', indexes.images(tenant, rest.view.name)),
  });

/** The item that records that a host holds an image. */
export const imageOnHostItem = (
  tenant: string,
  { name, digest }: Pick<ImageFacts, 'name' | 'digest'>,
  hostId: string,
): Item =>
  createItem('imageOnHost', keys.imageOnHost(tenant, name, hostId), {
    view: { name, digest, hostId },
    ...indexAttributes('gsi2', indexes.imagesOfHost(tenant, hostId, name)),
  });

/** The image with that name, ignoring case. */
export const getImage = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<ImageRecord | undefined> => {
  const item = await table.get(keys.image(tenant, name));
  return item && parseImage(item);
};

type ImageHolder = Image['hosts'][number];

/** An image and the hosts that hold it. */
export interface HeldImage {
  readonly image: ImageRecord;
  readonly hosts: readonly ImageHolder[];
}

/** Maximum number of hosts to list for one image. */
const HOSTS_SHOWN = 1000;
const HOLDER = 'H#';

const holderOf = (item: Item): ImageHolder => {
  const { hostId, digest } = parseImageOnHost(item);
  return { hostId, digest };
};

/** The first thousand hosts that hold an image, by id. */
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

/** Images by name. */
export const listImages = (
  table: Table,
  cursors: Cursors,
  tenant: string,
  request: ListRequest,
): Promise<ListPage<IndexedImage>> =>
  readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'images', filters: {} },
      source: { index: 'gsi1', shards: [indexes.images(tenant).pk] },
      parse: parseIndexedImage,
    },
    request,
  );

/** @throws ConflictError `image-in-use` if any container, running or not, uses the image */
export const checkImageUnused = async (table: Table, { tenant, view }: IndexedImage): Promise<void> => {
  const page = await table.query({
    index: 'gsi4',
    key: indexes.containersByImage(tenant, view.name),
    limit: 1,
  });
  const [user] = page.items;
  if (user === undefined) return;
  throw new ConflictError('image-in-use', `Containers use image "${view.name}".`, {
    suggestion: `Remove these containers first. List them with GET /v1/containers?image=${encodeURIComponent(view.name)}.`,
  });
};

/**
 * Removes an image from the catalogue.
 * @throws ConditionFailed at index 0 if it has changed since it was read
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
          ...ifRevision(revision),
        },
      },
      ...remember,
    ],
    token,
  );
  for (const { hostId } of hosts)
    await table.remove({ Key: keyItem(keys.imageOnHost(tenant, view.name, hostId)) });
};
