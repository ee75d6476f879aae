import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Extract, extract, type Header } from 'tar-stream';
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
  if (name.split('/').includes('..'))
    throw refuse(`it has the path ${JSON.stringify(name)}, which contains ".."`);
  if (kind === 'link' && (target.startsWith('/') || target.split('/').includes('..')))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}, which is outside the image`);
  // An absolute symbolic link stays in the container, whose root is the image. A relative link must not lead above the root.
  if (kind === 'symlink' && !target.startsWith('/') && climbsOut(target, depthOf(name)))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}, which is outside the image`);
};

interface Totals {
  bytes: number;
  entries: number;
}

/** What tar-stream has of an entry in addition to its declared types. */
type EntryHeader = Header & {
  readonly byteOffset: number;
  readonly pax?: Readonly<Record<string, string>> | null;
};

const BLOCK = 512;
const padded = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/**
 * Limits for the headers of one entry and their keys, and for long headers of all entries. The program that unpacks the layer has
 * the same limit for one. Without them, a layer of a megabyte would stop the agent for minutes: a header is parsed at once, and
 * the keys of global ones are copied for each entry.
 */
const HEADER_BYTES = 1024 * 1024;
const HEADER_KEYS = 256;
const LONG_HEADER_BYTES = 64 * 1024 * 1024;
/** Headers up to this size are not long. */
const USUAL_HEADER_BYTES = 4 * 1024;
/** Bytes that are read in advance of the headers. */
const READ_AHEAD = 256 * 1024;

/** One layer while it is read, from the end of the last entry on. */
interface Reading {
  bytes: number;
  entryEnd: number;
  longHeaderBytes: number;
}

/** Forwards bytes and adds them to the totals. */
const countBytes = (totals: Totals, limits: ImageLimits, reading: Reading): Transform =>
  new Transform({
    transform: (piece: Buffer, _, done) => {
      totals.bytes += piece.length;
      reading.bytes += piece.length;
      if (totals.bytes > limits.bytes) done(refuse(`it unpacks to more than ${limits.bytes} bytes`));
      else if (reading.bytes - reading.entryEnd > HEADER_BYTES + READ_AHEAD)
        done(refuse(`the headers of an entry have more than ${HEADER_BYTES} bytes`));
      else done(null, piece);
    },
  });

/** Reads the headers of a tar stream and discards the files. */
const checkEntries = (totals: Totals, limits: ImageLimits, reading: Reading): Extract => {
  const entries = extract();
  entries.on('entry', (header, content, next) => {
    const { name, type, linkname, size = 0, byteOffset, pax } = header as EntryHeader;
    // The pipeline rejects with the error. Without this listener the error would also crash the agent.
    content.on('error', () => {});
    try {
      checkEntry(name, type ?? '', linkname ?? '');
      reading.longHeaderBytes += Math.max(0, byteOffset - reading.entryEnd - USUAL_HEADER_BYTES);
      if (reading.longHeaderBytes > LONG_HEADER_BYTES)
        throw refuse(`its headers have more than ${LONG_HEADER_BYTES} bytes`);
      if (Object.keys(pax ?? {}).length > HEADER_KEYS)
        throw refuse(`the headers of an entry have more than ${HEADER_KEYS} keys`);
      totals.entries++;
      if (totals.entries > limits.entries) throw refuse(`it has more than ${limits.entries} files`);
    } catch (error) {
      entries.destroy(error as Error);
      return;
    }
    reading.entryEnd = byteOffset + (type === 'directory' ? 0 : padded(size));
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
export const checkLayer = async (
  path: string,
  totals: Totals,
  limits: ImageLimits,
  signal?: AbortSignal,
): Promise<void> => {
  const file = await open(path);
  const magic = Buffer.alloc(4);
  await file.read(magic, 0, 4, 0);
  await file.close();
  const decompressor = decompressorFor(magic);
  const source: Readable = createReadStream(path);
  const reading: Reading = { bytes: 0, entryEnd: 0, longHeaderBytes: 0 };
  const count = countBytes(totals, limits, reading);
  const entries = checkEntries(totals, limits, reading);
  try {
    await (decompressor
      ? pipeline(source, decompressor, count, entries, { signal })
      : pipeline(source, count, entries, { signal }));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError('validation-failed', 'The image is refused: a layer cannot be unpacked', {
      cause: error,
    });
  }
};
