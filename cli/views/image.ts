import type { Image } from '../../core/contract/image.ts';
import type { Field } from '../output/fields.ts';
import { instant } from '../output/format.ts';
import type { Column } from '../output/table.ts';

export const IMAGE_COLUMNS: readonly Column<Image>[] = [
  { header: 'Name', value: ({ name }) => name, flexible: true },
  { header: 'Version', value: ({ version }) => version },
  { header: 'Os', value: ({ os }) => os },
  { header: 'Architecture', value: ({ architecture }) => architecture },
  { header: 'Hosts', value: ({ hosts }) => String(hosts.length), right: true },
];

export const imageFields = (image: Image): readonly Field[] => [
  ['Name', image.name],
  ['Version', image.version],
  ['Os', image.os],
  ['OsBuild', image.osBuild === 0 ? null : image.osBuild],
  ['Architecture', image.architecture],
  ['Source', image.source],
  ['Digest', image.digest],
  ['Hosts', image.hosts.map(({ hostId }) => hostId).join(' ')],
  ['CreatedAt', instant(image.createdAt)],
  ['Revision', image.revision],
];
