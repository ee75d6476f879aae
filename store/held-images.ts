import type { ImageFacts } from '../core/contract/image.ts';
import { caseInsensitiveKey } from '../core/domain/names.ts';
import { catalogueImage } from './commit.ts';
import { fromItem } from './item.ts';
import { indexes, keys } from './keys.ts';
import { keyItem, type Table } from './table.ts';
import { decideAgain } from './transition.ts';

/** Images that the table says a host holds: name as compared → digest. */
const listHeld = async (
  table: Table,
  tenant: string,
  hostId: string,
): Promise<ReadonlyMap<string, string>> => {
  const held = new Map<string, string>();
  let after: Awaited<ReturnType<Table['query']>>['after'];
  do {
    const page = await table.query({
      index: 'gsi3',
      key: indexes.imagesOfHost(tenant, hostId),
      ...(after && { after }),
    });
    for (const item of page.items) {
      const { name, digest } = fromItem(item).view as { name: string; digest: string };
      held.set(caseInsensitiveKey(name), digest);
    }
    after = page.after;
  } while (after !== undefined);
  return held;
};

/**
 * Brings the catalogue to what a host says that it holds: new images are catalogued, those that it no longer has stay
 * in the catalogue without this host.
 *
 * @param images all that the host holds
 */
export const recordHeldImages = async (
  table: Table,
  { tenant, hostId }: { readonly tenant: string; readonly hostId: string },
  images: readonly ImageFacts[],
  at: string,
): Promise<void> => {
  const held = await listHeld(table, tenant, hostId);
  const said = new Set(images.map(({ name }) => caseInsensitiveKey(name)));
  for (const image of images) {
    if (held.get(caseInsensitiveKey(image.name)) === image.digest) continue;
    await decideAgain(async () =>
      table.transact(await catalogueImage(table, { tenant, hostId, image }, { at, actor: `host:${hostId}` })),
    );
  }
  for (const name of held.keys())
    if (!said.has(name)) await table.remove({ Key: keyItem(keys.imageOnHost(tenant, name, hostId)) });
};
