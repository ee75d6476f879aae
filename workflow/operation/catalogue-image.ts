import type { ImageFacts } from '../../core/contract/image.ts';
import { type ImageRecord, imageItem, imageOnHostItem, parseImage } from '../../store/images.ts';
import { toAttribute } from '../../store/item.ts';
import { keys } from '../../store/keys.ts';
import { keyItem, type Table, type Write } from '../../store/table.ts';
import type { Stamp } from './next-records.ts';

/** An image that a host holds. */
interface OnHost {
  readonly tenant: string;
  readonly hostId: string;
  readonly image: ImageFacts;
}

/** The writes that put an imported image into the catalogue and record that the host holds it. */
export const catalogueImport = async (
  table: Table,
  { tenant, hostId, image }: OnHost,
  { at, actor }: Stamp,
): Promise<readonly Write[]> => {
  const item = await table.get(keys.image(tenant, image.name), { consistent: true });
  if (item === undefined) return addToCatalogue({ tenant, hostId, image }, { at, actor });
  const { revision, view } = parseImage(item);
  const { config, ...facts } = image;
  const after: ImageRecord = {
    tenant,
    revision: revision + 1,
    actor,
    config,
    view: { ...facts, name: view.name, createdAt: view.createdAt },
  };
  return [
    {
      put: {
        Item: imageItem(after),
        ConditionExpression: 'revision = :revision',
        ExpressionAttributeValues: { ':revision': toAttribute(revision) },
      },
    },
    { put: { Item: imageOnHostItem(tenant, image, hostId) } },
  ];
};

const addToCatalogue = ({ tenant, hostId, image }: OnHost, { at, actor }: Stamp): readonly Write[] => {
  const { config, ...facts } = image;
  return [
    {
      put: {
        Item: imageItem({ tenant, revision: 1, actor, config, view: { ...facts, createdAt: at } }),
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
    { put: { Item: imageOnHostItem(tenant, image, hostId) } },
  ];
};

/**
 * The writes that record that a host holds an image, and that add the image to the catalogue if it is missing there.
 * An existing catalogue entry stays unchanged: one host must not decide where containers of other hosts can run.
 */
export const catalogueReport = async (
  table: Table,
  { tenant, hostId, image }: OnHost,
  stamp: Stamp,
): Promise<readonly Write[]> => {
  const key = keys.image(tenant, image.name);
  if ((await table.get(key, { consistent: true })) === undefined)
    return addToCatalogue({ tenant, hostId, image }, stamp);
  return [
    { check: { Key: keyItem(key), ConditionExpression: 'attribute_exists(pk)' } },
    { put: { Item: imageOnHostItem(tenant, image, hostId) } },
  ];
};
