import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Extract, extract } from 'tar-stream';
import { RuntimeError } from '../../../errors.ts';

/** Limits for an unpacked image. A file of zeros compresses by a factor of 1000, so a limit of the packed size is not enough. */
export interface ImageLimits {
  readonly bytes: number;
  readonly entries: number;
}

const refuse = (what: string) => new RuntimeError('validation-failed', `The image is refused: ${what}`);

/** Whether a path, followed from a folder `depth` levels below the root, climbs above the root. */
const climbsOut = (path: string, depth: number): boolean => {
  let level = depth;
  for (const part of path.split('/')) {
    if (part === '..') level--;
    else if (part !== '' && part !== '.') level++;
    if (level < 0) return true;
  }
  return false;
};

const depthOf = (path: string): number =>
  path.split('/').filter((part) => part !== '' && part !== '.').length - 1;

/** The longest path that the kernel accepts, and far more folders than images nest. */
const LONGEST_PATH = 4_096;
const DEEPEST = 128;

/**
 * The program that unpacks an image looks up every folder of every path, so nested folders take it time with the square of
 * their number.
 */
const checkLength = (name: string, target: string): void => {
  if (Math.max(name.length, target.length) > LONGEST_PATH)
    throw refuse(`it has a path of more than ${LONGEST_PATH} characters`);
  if (depthOf(name) > DEEPEST) throw refuse(`it has more than ${DEEPEST} nested folders`);
};

/** @throws {RuntimeError} if a path or link leads out of the image, is too long or too deep */
export const checkEntry = (name: string, kind: string, target: string): void => {
  checkLength(name, target);
  if (name.startsWith('/')) throw refuse(`it has the absolute path ${JSON.stringify(name)}`);
  if (name.split('/').includes('..')) throw refuse(`it has the path ${JSON.stringify(name)}`);
  if (kind === 'link' && (target.startsWith('/') || target.split('/').includes('..')))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}`);
  // An absolute symbolic link stays in the container, whose root is the image. A relative link must not lead above the root.
  if (kind === 'symlink' && !target.startsWith('/') && climbsOut(target, depthOf(name)))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}, which is outside the image`);
};

interface Totals {
  bytes: number;
  entries: number;
}

/** Forwards bytes and adds them to the totals. */
const countBytes = (totals: Totals, limits: ImageLimits): Transform =>
  new Transform({
    transform: (piece: Buffer, _, done) => {
      totals.bytes += piece.length;
      const isTooLarge = totals.bytes > limits.bytes;
      done(isTooLarge ? refuse(`it unpacks to more than ${limits.bytes} bytes`) : null, piece);
    },
  });

/** Reads the headers of a tar stream and discards the files. */
const checkEntries = (totals: Totals, limits: ImageLimits): Extract => {
  const entries = extract();
  entries.on('entry', ({ name, type, linkname }, content, next) => {
    // The pipeline rejects with the error. Without this listener the error would also crash the agent.
    content.on('error', () => {});
    try {
      checkEntry(name, type ?? '', linkname ?? '');
      totals.entries++;
      if (totals.entries > limits.entries) throw refuse(`it has more than ${limits.entries} files`);
    } catch (error) {
      entries.destroy(error as Error);
      return;
    }
    content.on('end', next);
    content.resume();
  });
  return entries;
};

const decompressorFor = (magic: Buffer): Transform | null => {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return createGunzip();
  if (magic.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress();
  return null;
};

/**
 * Reads a whole layer: a tar archive, uncompressed or with gzip or zstd.
 * @param totals the totals of the previous layers, to which this layer is added
 * @throws {RuntimeError} `validation-failed` for paths and links that lead out of the image, and above the limits
 */
export const checkLayer = async (path: string, totals: Totals, limits: ImageLimits): Promise<void> => {
  const file = await open(path);
  const magic = Buffer.alloc(4);
  await file.read(magic, 0, 4, 0);
  await file.close();
  const decompressor = decompressorFor(magic);
  const source: Readable = createReadStream(path);
  const count = countBytes(totals, limits);
  const entries = checkEntries(totals, limits);
  try {
    await (decompressor ? pipeline(source, decompressor, count, entries) : pipeline(source, count, entries));
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError('validation-failed', 'The image is refused: a layer cannot be unpacked', {
      cause: error,
    });
  }
};
