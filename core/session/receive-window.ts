import { SESSION_LIMITS } from '../contract/session.ts';
import type { Timers } from './send-window.ts';

/** Maximum delay of an acknowledgement that waits to be sent together with a frame. */
const ACK_DELAY_MS = 150;
const ACK_FRAMES = 16;
const ACK_BYTES = SESSION_LIMITS.windowBytes / 4;

interface ReceiveWindowDeps<Frame> {
  readonly timers: Timers;
  /** Bytes of data in a frame. */
  readonly bytesOf: (frame: Frame) => number;
  /** Called with each frame once, in order. */
  readonly deliver: (frame: Frame) => void;
  readonly sendAck: () => void;
  /** The other side sent more than its credit. */
  readonly onViolation: (why: string) => void;
}

/**
 * The receiving half of one direction of a session: orders frames, drops duplicates and acknowledges. It buffers at most
 * `windowBytes` of out-of-order data and at most `framesAhead` frames. Sending beyond the credit is a protocol violation.
 */
export class ReceiveWindow<Frame> {
  readonly #deps: ReceiveWindowDeps<Frame>;
  readonly #early = new Map<number, Frame>();
  #received = 0;
  #arrivedBytes = 0;
  #consumed = 0;
  /** The acknowledgement and the limit that were sent last. */
  #announced = { ack: 0, limit: SESSION_LIMITS.windowBytes as number };
  #cancelAck: (() => void) | null = null;
  #closed = false;

  constructor(deps: ReceiveWindowDeps<Frame>) {
    this.#deps = deps;
  }

  /** The acknowledgement for the next message. The caller must send it. */
  nextAcknowledgement(): { readonly ack: number; readonly limit: number } {
    this.#cancelAck?.();
    this.#cancelAck = null;
    this.#announced = { ack: this.#received, limit: this.#consumed + SESSION_LIMITS.windowBytes };
    return this.#announced;
  }

  onFrame(sequence: number, frame: Frame): void {
    if (this.#closed) return;
    if (sequence <= this.#received || this.#early.has(sequence)) {
      // A duplicate: the sender missed the acknowledgement.
      this.#deps.sendAck();
      return;
    }
    if (sequence > this.#received + SESSION_LIMITS.framesAhead) return;
    this.#arrivedBytes += this.#deps.bytesOf(frame);
    if (this.#arrivedBytes > this.#consumed + SESSION_LIMITS.windowBytes) {
      this.#deps.onViolation('received more data than the limit allows');
      return;
    }
    this.#early.set(sequence, frame);
    this.#deliver();
    this.#considerAck();
  }

  /** The given number of delivered bytes has been consumed. */
  consumed(bytes: number): void {
    if (this.#closed) return;
    this.#consumed += bytes;
    this.#considerAck();
  }

  close(): void {
    this.#closed = true;
    this.#cancelAck?.();
    this.#early.clear();
  }

  #deliver(): void {
    for (;;) {
      const frame = this.#early.get(this.#received + 1);
      if (frame === undefined || this.#closed) return;
      this.#received += 1;
      this.#early.delete(this.#received);
      this.#deps.deliver(frame);
    }
  }

  #considerAck(): void {
    if (this.#closed) return;
    const frames = this.#received - this.#announced.ack;
    const bytes = this.#consumed + SESSION_LIMITS.windowBytes - this.#announced.limit;
    if (frames >= ACK_FRAMES || bytes >= ACK_BYTES) this.#deps.sendAck();
    else if ((frames > 0 || bytes > 0) && this.#cancelAck === null)
      this.#cancelAck = this.#deps.timers.after(ACK_DELAY_MS, () => {
        this.#cancelAck = null;
        this.#deps.sendAck();
      });
  }
}
