/**
 * LZ4's legacy frame, the format of LZ4-compressed kernels: a magic number, then blocks of at most 8 MiB uncompressed, each
 * preceded by its compressed size. Node has no LZ4.
 * Source: lz4_Block_format.md and lz4_Frame_format.md ("Legacy frame") of the LZ4 project.
 */
const BLOCK_BYTES = 8 * 1024 * 1024;
const MAGIC_BYTES = 4;
const SIZE_BYTES = 4;
const MIN_MATCH = 4;
const LONG = 15;

interface Cursor {
  readonly source: Buffer;
  at: number;
}

/** A length of 15 continues in the following bytes, as long as they are 255. */
const readLength = (cursor: Cursor, nibble: number): number => {
  let length = nibble;
  if (nibble < LONG) return length;
  for (let byte = 255; byte === 255; length += byte) byte = cursor.source[cursor.at++] ?? 0;
  return length;
};

const unpackBlock = (source: Buffer, target: Buffer): number => {
  const cursor: Cursor = { source, at: 0 };
  let written = 0;
  while (cursor.at < source.length) {
    const token = source[cursor.at++] ?? 0;
    const literals = readLength(cursor, token >> 4);
    source.copy(target, written, cursor.at, cursor.at + literals);
    cursor.at += literals;
    written += literals;
    if (cursor.at >= source.length) break;
    const offset = source.readUInt16LE(cursor.at);
    cursor.at += 2;
    const length = readLength(cursor, token & LONG) + MIN_MATCH;
    // A match may overlap its own output, so it is copied byte by byte.
    for (let index = 0; index < length; index++, written++) target[written] = target[written - offset] ?? 0;
  }
  return written;
};

/** Unpacks a legacy frame. Damaged data yields wrong output; the caller must verify the result. */
export const unpackLz4 = (frame: Buffer): Buffer => {
  const blocks: Buffer[] = [];
  let at = MAGIC_BYTES;
  while (at + SIZE_BYTES <= frame.length) {
    const size = frame.readUInt32LE(at);
    at += SIZE_BYTES;
    const target = Buffer.alloc(BLOCK_BYTES);
    blocks.push(target.subarray(0, unpackBlock(frame.subarray(at, at + size), target)));
    at += size;
  }
  return Buffer.concat(blocks);
};
