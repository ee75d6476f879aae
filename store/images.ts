import { keys } from './keys.ts';
import { parseImage } from './parse.ts';
import type { ImageRecord } from './records.ts';
import type { Table } from './table.ts';

/** The image of that name, compared without regard to case. */
export const getImage = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<ImageRecord | undefined> => {
  const item = await table.get(keys.image(tenant, name));
  return item && parseImage(item);
};
