/** The guest protocol of `agent/guest/protocol.h`, with the same numbers. */
export const HEADER_BYTES = 8;
export const MAX_PAYLOAD = 32 * 1024;
/** Maximum size of the fields of a SPAWN. */
export const MAX_SPAWN = 1024 * 1024;
export const MAX_STREAMS = 64;
export const MAIN_STREAM = 1;
export const STREAM_WINDOW = 256 * 1024;
export const STDIN_WINDOW = 64 * 1024;
export const NONCE_BYTES = 16;

export const FRAME = {
  connect: 1,
  request: 2,
  spawn: 3,
  stdin: 4,
  closeStdin: 5,
  resize: 6,
  signal: 7,
  credit: 8,
  hello: 16,
  response: 17,
  started: 18,
  stdout: 19,
  stderr: 20,
  exited: 21,
} as const;
export const FLAG_MORE = 1;
export const FLAG_OUT_OF_MEMORY = 2;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** @param payload at most `MAX_PAYLOAD` bytes */
export const encodeFrame = (
  type: number,
  stream: number,
  payload: Uint8Array = NOTHING,
  flags = 0,
): Buffer => {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame[0] = type;
  frame[1] = flags;
  frame.writeUInt16LE(stream, 2);
  frame.writeUInt32LE(payload.length, 4);
  frame.set(payload, HEADER_BYTES);
  return frame;
};

/** Encodes `name=value` strings, each terminated by NUL. A value is truncated at its first NUL. */
export const encodeFields = (fields: readonly (readonly [name: string, value: string])[]): Buffer =>
  Buffer.from(fields.map(([name, value]) => `${name}=${value.split('\0', 1)[0]}\0`).join(''));

export const decodeFields = (payload: Buffer): ReadonlyMap<string, string> =>
  new Map(
    payload
      .toString('utf8')
      .split('\0')
      .filter((field) => field.includes('='))
      .map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
  );

/** The guest has violated the protocol: it is broken or hostile. No more frames are accepted. */
export class GuestProtocolError extends Error {
  override readonly name = 'GuestProtocolError';
}

/**
 * Decodes frames from pieces of a stream. Holds at most one frame and the current piece. A header with a length above
 * `MAX_PAYLOAD` is refused before any memory is allocated for it.
 */
export class FrameDecoder {
  #kept: Buffer = NOTHING;

  /** @throws {GuestProtocolError} */
  *push(piece: Buffer): Generator<Frame> {
    let data = this.#kept.length === 0 ? piece : Buffer.concat([this.#kept, piece]);
    this.#kept = NOTHING;
    for (;;) {
      const length = data.length < HEADER_BYTES ? 0 : data.readUInt32LE(4);
      if (length > MAX_PAYLOAD) throw new GuestProtocolError(`The guest sent a frame of ${length} bytes`);
      if (data.length < HEADER_BYTES || data.length < HEADER_BYTES + length) break;
      yield {
        type: data[0] ?? 0,
        flags: data[1] ?? 0,
        stream: data.readUInt16LE(2),
        payload: data.subarray(HEADER_BYTES, HEADER_BYTES + length),
      };
      data = data.subarray(HEADER_BYTES + length);
    }
    // A copy, so that a few bytes do not keep the whole piece in memory.
    this.#kept = Buffer.from(data);
  }
}

/**
 * Finds the first frame of a connection in a stream that may begin with the rest of an earlier connection. The frame is the
 * HELLO with this connection's nonce. Fails after `limit` bytes.
 */
export class HelloFinder {
  readonly #wanted: Buffer;
  readonly #limit: number;
  #kept: Buffer = NOTHING;
  #seen = 0;

  constructor(nonce: Uint8Array, limit: number) {
    this.#wanted = Buffer.from(nonce);
    this.#limit = limit;
  }

  /**
   * @returns the stream from the HELLO's header on; null before the HELLO has arrived
   * @throws {GuestProtocolError}
   */
  push(piece: Buffer): Buffer | null {
    this.#seen += piece.length;
    const data = Buffer.concat([this.#kept, piece]);
    for (let at = data.indexOf(this.#wanted); at >= 0; at = data.indexOf(this.#wanted, at + 1)) {
      const header = at - HEADER_BYTES;
      if (header >= 0 && data[header] === FRAME.hello) return Buffer.from(data.subarray(header));
    }
    if (this.#seen > this.#limit) throw new GuestProtocolError('The guest did not send a HELLO frame');
    this.#kept = Buffer.from(data.subarray(-(HEADER_BYTES + NONCE_BYTES - 1)));
    return null;
  }
}
