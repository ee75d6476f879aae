/**
 * Detects frames in a client's WebSocket stream that exceed API Gateway's limit. `ws` limits only whole messages; a message
 * of 128 KB must arrive in frames of at most 32 KB (RFC 6455, 5.2, for the layout).
 */
export class FrameMeter {
  readonly #limitBytes: number;
  /** Remaining payload bytes of the current frame. */
  #payloadLeft = 0;
  #header: number[] = [];

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** @returns whether a frame that is too large starts in these bytes */
  exceeds(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      this.#header.push(chunk[at] ?? 0);
      at += 1;
      const length = this.#payloadLength();
      if (length === undefined) continue;
      if (length > this.#limitBytes) return true;
      this.#payloadLeft = length;
      this.#header = [];
    }
    return false;
  }

  /** Undefined until the header, with its mask, is complete. */
  #payloadLength(): number | undefined {
    const [, second] = this.#header;
    if (second === undefined) return undefined;
    const short = second & 0x7f;
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
    const maskBytes = second & 0x80 ? 4 : 0;
    if (this.#header.length < 2 + lengthBytes + maskBytes) return undefined;
    if (lengthBytes === 0) return short;
    return this.#header.slice(2, 2 + lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0);
  }
}
