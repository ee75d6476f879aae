import type { Duplex } from 'node:stream';

/**
 * Reports the payload length of each frame that a WebSocket client sends (RFC 6455, 5.2), without changing the stream.
 * A WebSocket library would report only whole messages.
 */
export const watchFrames = (socket: Duplex, onFrame: (bytes: number) => void): void => {
  let buffered = Buffer.alloc(0);
  let skip = 0;
  const emit = socket.emit.bind(socket);
  const read = (chunk: Buffer): void => {
    buffered = Buffer.concat([buffered, chunk]);
    for (;;) {
      const passed = Math.min(skip, buffered.length);
      buffered = buffered.subarray(passed);
      skip -= passed;
      const header = skip === 0 ? headerOf(buffered) : null;
      if (header === null) return;
      onFrame(header.payload);
      skip = header.bytes + header.payload;
    }
  };
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === 'data' && Buffer.isBuffer(args[0])) read(args[0]);
    return emit(event, ...args);
  };
};

const MASK_BYTES = 4;

/** The lengths of the header and of the payload; null while the header is incomplete. */
const headerOf = (bytes: Buffer): { bytes: number; payload: number } | null => {
  if (bytes.length < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  if (short < 126) return { bytes: 2 + MASK_BYTES, payload: short };
  if (short === 126)
    return bytes.length < 4 ? null : { bytes: 4 + MASK_BYTES, payload: bytes.readUInt16BE(2) };
  return bytes.length < 10 ? null : { bytes: 10 + MASK_BYTES, payload: Number(bytes.readBigUInt64BE(2)) };
};
