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

export const refuse = (what: string) =>
  new RuntimeError('validation-failed', `The image is refused: ${what}`);

export interface Totals {
  bytes: number;
  entries: number;
}

/** Handles an entry. Either `next` must be called, once its content is read, or `fail`. */
type TakeEntry = (
  header: Header,
  content: Readable,
  next: () => void,
  fail: (error: unknown) => void,
) => void;

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

/** Passes on the entries of a tar stream whose headers are within the limits. */
const readEntries = (totals: Totals, limits: ImageLimits, reading: Reading, take: TakeEntry): Extract => {
  const entries = extract();
  entries.on('entry', (header, content, next) => {
    const { type, size = 0, byteOffset, pax } = header as EntryHeader;
    // The pipeline rejects with the error. Without this listener the error would also crash the agent.
    content.on('error', () => {});
    const fail = (error: unknown) => entries.destroy(error as Error);
    try {
      reading.longHeaderBytes += Math.max(0, byteOffset - reading.entryEnd - USUAL_HEADER_BYTES);
      if (reading.longHeaderBytes > LONG_HEADER_BYTES)
        throw refuse(`its headers have more than ${LONG_HEADER_BYTES} bytes`);
      if (Object.keys(pax ?? {}).length > HEADER_KEYS)
        throw refuse(`the headers of an entry have more than ${HEADER_KEYS} keys`);
      totals.entries++;
      if (totals.entries > limits.entries) throw refuse(`it has more than ${limits.entries} files`);
      reading.entryEnd = byteOffset + (type === 'directory' ? 0 : padded(size));
      // tar-stream's streams are used like Node's, and have other types.
      take(header, content as unknown as Readable, () => next(), fail);
    } catch (error) {
      fail(error);
    }
  });
  return entries;
};

const decompressorFor = (magic: Buffer): Transform | null => {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return createGunzip();
  if (magic.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress();
  return null;
};

interface ReadOptions {
  /** The totals of the archives before, to which this one is added. */
  readonly totals: Totals;
  readonly limits: ImageLimits;
  readonly signal?: AbortSignal;
}

/**
 * Reads a whole tar archive, uncompressed or with gzip or zstd. The archive is hostile.
 * @throws {RuntimeError} `validation-failed` above the limits, or if it is not such an archive
 */
export const readArchive = async (
  path: string,
  { totals, limits, signal }: ReadOptions,
  take: TakeEntry,
): Promise<void> => {
  // skopeo does not copy the layers that an image has at another address.
  const file = await open(path).catch((cause) => {
    throw new RuntimeError('validation-failed', 'The image is refused: a part of it is missing', { cause });
  });
  const magic = Buffer.alloc(4);
  await file.read(magic, 0, 4, 0);
  await file.close();
  const decompressor = decompressorFor(magic);
  const source: Readable = createReadStream(path);
  const reading: Reading = { bytes: 0, entryEnd: 0, longHeaderBytes: 0 };
  const count = countBytes(totals, limits, reading);
  const entries = readEntries(totals, limits, reading, take);
  try {
    await (decompressor
      ? pipeline(source, decompressor, count, entries, { signal })
      : pipeline(source, count, entries, { signal }));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError('validation-failed', 'The image is refused: it cannot be unpacked', {
      cause: error,
    });
  }
};
