import * as z from 'zod/mini';
import { ImageFactsSchema } from '../../../../core/contract/image.ts';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';

const DefaultsSchema = z.strictObject({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  env: z.array(z.string()),
  workingDir: z.string(),
  user: z.string(),
});
/** The record of an image on this host. There is one file for each name and one for each digest. */
const ImageRecordSchema = z.strictObject({ facts: ImageFactsSchema, defaults: DefaultsSchema });
export type ImageRecord = z.infer<typeof ImageRecordSchema>;

export const ImageRecordFormat: RecordFormat<ImageRecord> = {
  name: 'image record',
  schema: ImageRecordSchema,
  upgrades: [addMembers()],
};

export const NAME_RECORD = '.json';
export const DIGEST_RECORD = '.digest';
