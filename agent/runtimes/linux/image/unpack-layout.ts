import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type ImageLimits, readArchive } from './read-archive.ts';

/** The files of an OCI layout. Source: image-layout.md of the OCI image specification. */
const LAYOUT_FILE = /^(\.\/)?(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/;

/**
 * Unpacks an OCI layout in a tar archive into a new folder. Only regular files with the names of a layout are written, so that
 * the folder has no link. skopeo unpacks such an archive itself, and follows links of the archive out of its folder.
 * @throws {RuntimeError} `validation-failed` above the limits, or if it is not a tar archive
 */
export const unpackLayout = async (
  archive: string,
  folder: string,
  limits: ImageLimits,
  signal: AbortSignal,
): Promise<void> => {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true, mode: 0o700 });
  const options = { totals: { bytes: 0, entries: 0 }, limits, signal };
  await readArchive(archive, options, ({ name, type }, content, next, fail) => {
    if (type === 'file' && LAYOUT_FILE.test(name))
      pipeline(content, createWriteStream(join(folder, name), { mode: 0o600 })).then(next, fail);
    else content.on('end', next).resume();
  });
};
