import type { Image, ImageSummary } from '../../core/contract/image.ts';
import type { Field } from '../output/fields.ts';
import { commandLine, instant } from '../output/format.ts';
import type { Column } from '../output/table.ts';

export const IMAGE_COLUMNS: readonly Column<ImageSummary>[] = [
  { header: 'Name', value: ({ name }) => name, flexible: true },
  { header: 'Version', value: ({ version }) => version },
  { header: 'Os', value: ({ os }) => os },
  { header: 'Architecture', value: ({ architecture }) => architecture },
];

const configFields = ({ config }: Image): readonly Field[] =>
  config === null
    ? []
    : [
        ['Entrypoint', config.entrypoint.length === 0 ? null : commandLine(config.entrypoint)],
        ['Command', config.command.length === 0 ? null : commandLine(config.command)],
        ['Environment', config.env.length === 0 ? null : config.env.join(' ')],
        ['WorkingDir', config.workingDir || null],
        ['User', config.user || null],
        ['StopSignal', config.stopSignal || null],
      ];

export const imageFields = (image: Image): readonly Field[] => [
  ['Name', image.name],
  ['Version', image.version],
  ['Os', image.os],
  ['OsBuild', image.osBuild === 0 ? null : image.osBuild],
  ['Architecture', image.architecture],
  ['Source', image.source],
  ['Digest', image.digest],
  ...configFields(image),
  ['Hosts', image.hosts.map(({ hostId }) => hostId).join(' ')],
  ['CreatedAt', instant(image.createdAt)],
  ['Revision', image.revision],
];
