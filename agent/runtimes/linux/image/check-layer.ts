import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { RuntimeError } from '../../../errors.ts';

/** What an image may unpack to. A file of zeros compresses a thousandfold, so the packed size says nothing. */
export interface ImageLimits {
  readonly bytes: number;
  readonly entries: number;
}

const BLOCK = 512;
const MAX_HEADER_DATA = 1024 * 1024;
/** Kinds whose data says something of the next entry: GNU long names and links, and pax headers. */
const LONG_NAME = 'L';
const LONG_LINK = 'K';
const PAX = 'x';
const GLOBAL_PAX = 'g';
const HARD_LINK = '1';
const SYMBOLIC_LINK = '2';

const refuse = (what: string) => new RuntimeError('validation-failed', `The image is refused: ${what}`);

const text = (block: Buffer, from: number, length: number): string => {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
};

/** Octal digits, or for what is too large for them a binary number (GNU). */
const number = (block: Buffer, from: number, length: number): number => {
  if ((block[from] ?? 0) & 0x80) return Number(block.readBigUInt64BE(from + length - 8));
  return Number.parseInt(text(block, from, length).trim() || '0', 8);
};

/** `length name=value\n` records; only names and sizes matter here. */
const parsePax = (data: Buffer): Map<string, string> => {
  const values = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number.parseInt(data.toString('latin1', at, space), 10);
    if (space < 0 || !(length > 0)) throw refuse('a damaged header');
    const record = data.toString('utf8', space + 1, at + length - 1);
    values.set(record.slice(0, record.indexOf('=')), record.slice(record.indexOf('=') + 1));
    at += length;
  }
  return values;
};

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

/** @throws {RuntimeError} when an entry is not one that stays in the image */
export const checkEntry = (name: string, kind: string, target: string): void => {
  if (name.startsWith('/')) throw refuse(`it has the absolute path ${JSON.stringify(name)}`);
  if (name.split('/').includes('..')) throw refuse(`it has the path ${JSON.stringify(name)}`);
  if (kind === HARD_LINK && (target.startsWith('/') || target.split('/').includes('..')))
    throw refuse(`${JSON.stringify(name)} links to ${JSON.stringify(target)}`);
  // An absolute symbolic link stays in the container, whose root is the image; a relative one must not leave it.
  if (kind === SYMBOLIC_LINK && !target.startsWith('/') && climbsOut(target, depthOf(name)))
    throw refuse(`${JSON.stringify(name)} leads out to ${JSON.stringify(target)}`);
};

/** Reads a tar's headers as it streams by; keeps nothing of the files. */
class TarChecker extends Transform {
  readonly #totals: { bytes: number; entries: number };
  readonly #limits: ImageLimits;
  #kept = Buffer.alloc(0);
  #skip = 0;
  #collecting: { kind: string; left: number; parts: Buffer[] } | null = null;
  #next: { name?: string; link?: string; size?: number } = {};

  constructor(totals: { bytes: number; entries: number }, limits: ImageLimits) {
    super();
    this.#totals = totals;
    this.#limits = limits;
  }

  override _transform(piece: Buffer, _: BufferEncoding, done: (error?: Error) => void): void {
    try {
      this.#totals.bytes += piece.length;
      if (this.#totals.bytes > this.#limits.bytes)
        throw refuse(`it unpacks to more than ${this.#limits.bytes} bytes`);
      this.#take(this.#kept.length > 0 ? Buffer.concat([this.#kept, piece]) : piece);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  #take(data: Buffer): void {
    let rest = data;
    while (rest.length > 0) {
      if (this.#skip > 0) {
        const part = rest.subarray(0, Math.min(this.#skip, rest.length));
        this.#collect(part);
        this.#skip -= part.length;
        rest = rest.subarray(part.length);
        if (this.#skip === 0) this.#collected();
      } else if (rest.length >= BLOCK) {
        this.#header(rest.subarray(0, BLOCK));
        rest = rest.subarray(BLOCK);
      } else break;
    }
    this.#kept = Buffer.from(rest);
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) return;
    const kind = String.fromCharCode(block[156] ?? 0);
    const size = number(block, 124, 12);
    if (!Number.isSafeInteger(size) || size < 0) throw refuse('a damaged header');
    this.#skip = Math.ceil((this.#next.size ?? size) / BLOCK) * BLOCK;
    if ([LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX].includes(kind)) {
      if (size > MAX_HEADER_DATA) throw refuse('a header without end');
      this.#skip = Math.ceil(size / BLOCK) * BLOCK;
      this.#collecting = { kind, left: size, parts: [] };
      return;
    }
    const prefix = text(block, 257, 5) === 'ustar' ? text(block, 345, 155) : '';
    const name = this.#next.name ?? (prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100));
    checkEntry(name, kind, this.#next.link ?? text(block, 157, 100));
    this.#next = {};
    this.#totals.entries++;
    if (this.#totals.entries > this.#limits.entries)
      throw refuse(`it has more than ${this.#limits.entries} files`);
  }

  #collect(part: Buffer): void {
    if (!this.#collecting) return;
    this.#collecting.parts.push(Buffer.from(part.subarray(0, this.#collecting.left)));
    this.#collecting.left -= Math.min(part.length, this.#collecting.left);
  }

  #collected(): void {
    if (!this.#collecting) return;
    const { kind, parts } = this.#collecting;
    const data = Buffer.concat(parts);
    this.#collecting = null;
    if (kind === LONG_NAME) this.#next.name = text(data, 0, data.length);
    else if (kind === LONG_LINK) this.#next.link = text(data, 0, data.length);
    else if (kind === PAX) {
      const values = parsePax(data);
      const size = values.get('size');
      this.#next = {
        ...this.#next,
        ...(values.has('path') ? { name: values.get('path') } : {}),
        ...(values.has('linkpath') ? { link: values.get('linkpath') } : {}),
        ...(size === undefined ? {} : { size: Number(size) }),
      };
    }
  }
}

const decompressorFor = (magic: Buffer): Transform | null => {
  if (magic[0] === 0x1f && magic[1] === 0x8b) return createGunzip();
  if (magic.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress();
  return null;
};

/**
 * Reads a layer (a tar, plain or packed by gzip or zstd) to its end.
 * @param totals of the layers before; added to
 * @throws {RuntimeError} `validation-failed` for paths and links that lead out, and for more than the limits
 */
export const checkLayer = async (
  path: string,
  totals: { bytes: number; entries: number },
  limits: ImageLimits,
): Promise<void> => {
  const file = await open(path);
  const magic = Buffer.alloc(4);
  await file.read(magic, 0, 4, 0);
  await file.close();
  const decompressor = decompressorFor(magic);
  const checker = new TarChecker(totals, limits);
  const source: Readable = createReadStream(path);
  checker.resume();
  try {
    await (decompressor ? pipeline(source, decompressor, checker) : pipeline(source, checker));
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError('validation-failed', 'The image is refused: a layer cannot be unpacked', {
      cause: error,
    });
  }
};
