import type { OutputStream } from '../../core/contract/session.ts';

const HEADER_BYTES = 8;

export const RAW_STREAM = 'application/vnd.docker.raw-stream';
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** A chunk of output in Docker's format for output without a terminal: stream, three zero bytes, length, bytes. */
export const frame = (stream: OutputStream, bytes: Uint8Array): Uint8Array => {
  const framed = Buffer.alloc(HEADER_BYTES + bytes.length);
  framed[0] = stream === 'stderr' ? 2 : 1;
  framed.writeUInt32BE(bytes.length, 4);
  framed.set(bytes, HEADER_BYTES);
  return framed;
};
