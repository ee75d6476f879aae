import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Header, pack } from 'tar-stream';
import { type ImageLimits, readArchive } from './read-archive.ts';

const LINKS = ['link', 'symlink'];
const isKept = ({ type }: Header): boolean => type === 'file' || LINKS.includes(type ?? '');

/**
 * Copies an archive of `docker save` to an uncompressed one whose names do not begin with `./`, because skopeo finds other names
 * only. Such archives come from `tar -C folder .` and from tools that compress.
 * @throws {RuntimeError} `validation-failed` above the limits, or if it is not a tar archive
 */
export const normalizeArchive = async (
  archive: string,
  target: string,
  limits: ImageLimits,
  signal: AbortSignal,
): Promise<void> => {
  const packed = pack();
  const written = pipeline(packed, createWriteStream(target, { mode: 0o600 }));
  written.catch(() => undefined);
  const options = { totals: { bytes: 0, entries: 0 }, limits, signal };
  try {
    await readArchive(archive, options, (header, content, next, fail) => {
      if (!isKept(header)) {
        content.on('end', next).resume();
        return;
      }
      const { name, type = 'file', size = 0, linkname } = header;
      const entry = packed.entry(
        { name: name.replace(/^(\.\/)+/, ''), type, size, mode: 0o600, ...(linkname ? { linkname } : {}) },
        (error) => (error ? fail(error) : next()),
      );
      if (type === 'file') pipeline(content, entry).catch(fail);
      else content.resume();
    });
    packed.finalize();
    await written;
  } catch (error) {
    packed.destroy();
    throw error;
  }
};
