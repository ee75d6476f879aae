import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import * as z from 'zod/mini';

const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const GZIP = 0x1f8b;
const ZSTD = 0xfd2fb528;

const DescriptorSchema = z.looseObject({
  mediaType: z.optional(z.string()),
  digest: z.string(),
  size: z.int(),
});
type Descriptor = z.infer<typeof DescriptorSchema>;
const ManifestSchema = z.looseObject({ layers: z.array(DescriptorSchema) });
const IndexSchema = z.looseObject({ manifests: z.array(DescriptorSchema) });

const readJson = async <T>(path: string, schema: z.ZodMiniType<T>): Promise<T> =>
  z.parse(schema, JSON.parse(await readFile(path, 'utf8')));

const readMagic = async (path: string): Promise<Buffer> => {
  const file = await open(path);
  try {
    const magic = Buffer.alloc(4);
    await file.read(magic, 0, 4, 0);
    return magic;
  } finally {
    await file.close();
  }
};

/**
 * Gives each layer of an OCI layout the media type of its content, and decompresses layers with zstd, because umoci knows only
 * gzip and trusts the media type. The layers must have been checked: their size is not limited here.
 */
export const normalizeLayers = async (folder: string, signal: AbortSignal): Promise<void> => {
  const blob = (digest: string) => join(folder, 'blobs', 'sha256', digest.slice('sha256:'.length));

  const decompress = async (digest: string): Promise<Descriptor> => {
    const hash = createHash('sha256');
    let size = 0;
    const measure = new Transform({
      transform: (piece: Buffer, _, done) => {
        hash.update(piece);
        size += piece.length;
        done(null, piece);
      },
    });
    const partial = join(folder, 'layer.partial');
    const source = createReadStream(blob(digest));
    await pipeline(source, createZstdDecompress(), measure, createWriteStream(partial, { mode: 0o600 }), {
      signal,
    });
    const plain = `sha256:${hash.digest('hex')}`;
    await rename(partial, blob(plain));
    return { mediaType: LAYER, digest: plain, size };
  };

  const normalize = async (layer: Descriptor): Promise<Descriptor> => {
    const magic = await readMagic(blob(layer.digest));
    if (magic.readUInt32LE(0) === ZSTD) return decompress(layer.digest);
    return { ...layer, mediaType: magic.readUInt16BE(0) === GZIP ? `${LAYER}+gzip` : LAYER };
  };

  const writeDocument = async (document: object): Promise<Pick<Descriptor, 'digest' | 'size'>> => {
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await writeFile(blob(digest), bytes, { mode: 0o600 });
    return { digest, size: bytes.length };
  };

  const indexPath = join(folder, 'index.json');
  const index = await readJson(indexPath, IndexSchema);
  const [first, ...others] = index.manifests;
  if (first === undefined) return;
  const manifest = await readJson(blob(first.digest), ManifestSchema);
  const layers: Descriptor[] = [];
  for (const layer of manifest.layers) layers.push(await normalize(layer));
  if (layers.every(({ mediaType }, at) => mediaType === manifest.layers[at]?.mediaType)) return;
  const written = await writeDocument({ ...manifest, layers });
  await writeFile(indexPath, JSON.stringify({ ...index, manifests: [{ ...first, ...written }, ...others] }));
};
