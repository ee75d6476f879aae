import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../errors.ts';
import type { ImageRecord } from './image-record.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_DOCUMENT = 4 * 1024 * 1024;
const DescriptorSchema = z.object({ digest: z.string().check(z.regex(DIGEST)) });
const IndexSchema = z.object({ manifests: z.array(DescriptorSchema) });
const ManifestSchema = z.object({ config: DescriptorSchema, layers: z.array(DescriptorSchema) });
/** Far more than images have. The time that runc takes for variables grows with the square of their number. */
const MAX_ENTRIES = 1_024;
const strings = z.optional(z.nullable(z.array(z.string())));
const ConfigSchema = z.object({
  architecture: z.optional(z.string()),
  os: z.optional(z.string()),
  config: z.optional(
    z.nullable(
      z.object({
        Entrypoint: strings,
        Cmd: strings,
        Env: strings,
        WorkingDir: z.optional(z.string()),
        User: z.optional(z.string()),
        StopSignal: z.optional(z.string()),
      }),
    ),
  ),
});

export interface LayoutImage {
  readonly manifestDigest: string;
  readonly layers: readonly string[];
  readonly os: string;
  readonly architecture: string;
  readonly defaults: ImageRecord['defaults'];
}

const refuse = (what: string) => new RuntimeError('validation-failed', `The image is refused: ${what}`);

/** Undefined for a text that is not JSON. */
const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const readDocument = async <T>(path: string, schema: z.ZodMiniType<T>): Promise<T> => {
  const notAnImage = refuse('it is neither an OCI layout nor an archive of docker save');
  if ((await stat(path).catch(() => ({ size: MAX_DOCUMENT + 1 }))).size > MAX_DOCUMENT) throw notAnImage;
  const parsed = schema.safeParse(parseJson(await readFile(path, 'utf8')));
  if (!parsed.success) throw notAnImage;
  return parsed.data;
};

/** The digest of the configuration in a manifest. */
export const readConfigDigest = (manifest: string): string =>
  z.parse(ManifestSchema, JSON.parse(manifest)).config.digest;

/** @throws {RuntimeError} `validation-failed` if the folder is not an OCI layout, or has another number of images than one */
export const requireOneImage = async (folder: string): Promise<void> => {
  const { manifests } = await readDocument(join(folder, 'index.json'), IndexSchema);
  if (manifests.length !== 1) throw refuse(`it has ${manifests.length} images. Export one image.`);
};

/**
 * Reads the single image of an OCI layout. Source: image-layout.md of the OCI image specification.
 * @throws {RuntimeError} `validation-failed`
 */
export const readLayout = async (folder: string): Promise<LayoutImage> => {
  const blob = (digest: string) => join(folder, 'blobs', 'sha256', digest.slice('sha256:'.length));
  const index = await readDocument(join(folder, 'index.json'), IndexSchema);
  const manifestDigest = index.manifests[0]?.digest ?? '';
  const manifest = await readDocument(blob(manifestDigest), ManifestSchema);
  const config = await readDocument(blob(manifest.config.digest), ConfigSchema);
  const said = config.config ?? {};
  for (const name of ['Entrypoint', 'Cmd', 'Env'] as const)
    if ((said[name]?.length ?? 0) > MAX_ENTRIES)
      throw refuse(`${name} of its configuration has more than ${MAX_ENTRIES} entries`);
  return {
    manifestDigest,
    layers: manifest.layers.map(({ digest }) => blob(digest)),
    os: config.os ?? '',
    architecture: config.architecture ?? '',
    defaults: {
      entrypoint: said.Entrypoint ?? [],
      command: said.Cmd ?? [],
      env: said.Env ?? [],
      workingDir: said.WorkingDir ?? '/',
      user: said.User ?? '',
      stopSignal: said.StopSignal ?? '',
    },
  };
};
