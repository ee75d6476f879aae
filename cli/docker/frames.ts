import type { OutputStream } from '../../core/contract/session.ts';

import { isOlder } from './versions.ts';

const HEADER_BYTES = 8;

const RAW_STREAM = 'application/vnd.docker.raw-stream';
const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** Clients of older versions do not know the other content type. Their output is framed all the same. */
const SINCE_MULTIPLEXED = '1.42';

/** @param raw whether the stream has no frames */
export const contentTypeOf = (raw: boolean, version: string): string =>
  raw || isOlder(version, SINCE_MULTIPLEXED) ? RAW_STREAM : MULTIPLEXED_STREAM;

/** A chunk of output in Docker's format for output without a terminal: stream, three zero bytes, length, bytes. */
export const frame = (stream: OutputStream, bytes: Uint8Array): Uint8Array => {
  const framed = Buffer.alloc(HEADER_BYTES + bytes.length);
  framed[0] = stream === 'stderr' ? 2 : 1;
  framed.writeUInt32BE(bytes.length, 4);
  framed.set(bytes, HEADER_BYTES);
  return framed;
};
