import * as z from 'zod/mini';
import { type ImageConfig, ImageConfigSchema, ImageFactsSchema } from '../../../../core/contract/image.ts';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';

/** The record of an image on this host. There is one file for each name and one for each digest. */
const ImageRecordSchema = z.strictObject({ facts: ImageFactsSchema, defaults: ImageConfigSchema });
export type ImageRecord = z.infer<typeof ImageRecordSchema>;

export const ImageRecordFormat: RecordFormat<ImageRecord> = {
  name: 'image record',
  schema: ImageRecordSchema,
  upgrades: [
    addMembers(),
    (older) => {
      const record = z.parse(z.looseObject({ defaults: z.looseObject({}) }), older);
      return { ...record, defaults: { ...record.defaults, stopSignal: '' } };
    },
  ],
};

/** Larger configurations are not reported to the control plane, so that they cannot fill its messages. */
const REPORTED_CONFIG_CHARACTERS = 4096;

/** The configuration of an image, as reported; nothing if it is too large. */
export const reportedConfig = (config: ImageConfig): { readonly config?: ImageConfig } =>
  JSON.stringify(config).length <= REPORTED_CONFIG_CHARACTERS ? { config } : {};

export const NAME_RECORD = '.json';
export const DIGEST_RECORD = '.digest';
