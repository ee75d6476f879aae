import type { ImageRange } from '../../core/contract/agent/messages.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import { caseInsensitiveKey } from '../../core/domain/names.ts';
import { parseImageOnHost } from '../../store/images.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes, keys } from '../../store/keys.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { keyItem, type Table } from '../../store/table.ts';
import { catalogueReport } from '../operation/catalogue-image.ts';

/**
 * Images that a host holds according to the table: case-insensitive name → digest. An item that cannot be read is
 * missing, so the host's report writes it again.
 */
const listHeld = async (
  table: Table,
  tenant: string,
  hostId: string,
): Promise<ReadonlyMap<string, string>> => {
  const held = new Map<string, string>();
  let after: Awaited<ReturnType<Table['query']>>['after'];
  do {
    const page = await table.query({
      index: 'gsi2',
      key: indexes.imagesOfHost(tenant, hostId),
      ...(after && { after }),
    });
    for (const { name, digest } of readEach(table, page.items, parseImageOnHost))
      held.set(caseInsensitiveKey(name), digest);
    after = page.after;
  } while (after !== undefined);
  return held;
};

const EVERYTHING: ImageRange = { after: null, through: null };

const isWithin = ({ after, through }: ImageRange, name: string): boolean =>
  (after === null || name > after) && (through === null || name <= through);

/** Images catalogued in parallel. */
const AT_ONCE = 8;
const inGroups = async <T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> => {
  for (let start = 0; start < all.length; start += AT_ONCE)
    await Promise.all(all.slice(start, start + AT_ONCE).map(work));
};

/**
 * Updates the catalogue from a host's report: new images are added. Images that the host no longer holds stay in the
 * catalogue without this host.
 *
 * @param images all that the host holds, or all within `range`: images outside the range stay unchanged
 */
export const recordHeldImages = async (
  table: Table,
  { tenant, hostId }: { readonly tenant: string; readonly hostId: string },
  {
    images,
    range = EVERYTHING,
  }: { readonly images: readonly ImageFacts[]; readonly range?: ImageRange | undefined },
  at: string,
): Promise<void> => {
  const held = await listHeld(table, tenant, hostId);
  const said = new Set(images.map(({ name }) => caseInsensitiveKey(name)));
  const news = images.filter(({ name, digest }) => held.get(caseInsensitiveKey(name)) !== digest);
  await inGroups(news, (image) =>
    retryOnConflict(async () =>
      table.transact(
        await catalogueReport(table, { tenant, hostId, image }, { at, actor: `host:${hostId}` }),
      ),
    ),
  );
  for (const name of held.keys())
    if (isWithin(range, name) && !said.has(name))
      await table.remove({ Key: keyItem(keys.imageOnHost(tenant, name, hostId)) });
};
