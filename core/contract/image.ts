import * as z from 'zod/mini';
import { ArchitectureSchema, OsFamilySchema } from './host.ts';
import { IdSchema, ImageNameSchema, LineSchema, TimestampSchema } from './primitives.ts';

/** The configuration of an image, which applies to containers that do not set these members. */
export const ImageConfigSchema = z.strictObject({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  /** `NAME=value`. */
  env: z.array(z.string()),
  workingDir: z.string(),
  /** `user` or `user:group`; empty: root. */
  user: z.string(),
  /** The name or number of the signal that stops the main process; empty: TERM. */
  stopSignal: z.string(),
});
export type ImageConfig = z.infer<typeof ImageConfigSchema>;

/** What a host reports about an image that it holds. */
export const ImageFactsSchema = z.strictObject({
  name: ImageNameSchema,
  version: LineSchema,
  os: OsFamilySchema,
  /** Windows build of the image; 0 if the family has none. */
  osBuild: z.int(),
  architecture: ArchitectureSchema,
  source: z.string().check(z.maxLength(1024)),
  digest: z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/)),
  /** Missing if it is large, or if an earlier version imported the image. */
  config: z.optional(ImageConfigSchema),
});
export type ImageFacts = z.infer<typeof ImageFactsSchema>;

export const ImageSchema = z.strictObject({
  ...ImageFactsSchema.shape,
  config: z.nullable(ImageConfigSchema),
  hosts: z.array(z.strictObject({ hostId: IdSchema, digest: z.string() })),
  revision: z.int(),
  createdAt: TimestampSchema,
});
export type Image = z.infer<typeof ImageSchema>;

/** An image in a list: without its configuration, and without the hosts that hold it. */
export const ImageSummarySchema = z.omit(ImageSchema, { config: true, hosts: true });
export type ImageSummary = z.infer<typeof ImageSummarySchema>;

/** An allowed file or directory on the host, or a reference in a registry. */
export const ImportImageRequestSchema = z.strictObject({
  name: ImageNameSchema,
  hostId: IdSchema,
  source: z.union([
    z.strictObject({
      path: z.string().check(z.minLength(2), z.maxLength(1024), z.regex(/^(\/|[A-Za-z]:[\\/])[^\r\n\t]*$/)),
    }),
    z.strictObject({ reference: ImageNameSchema }),
  ]),
  /** The import fails unless the image has this digest. */
  digest: z.optional(z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/))),
});
