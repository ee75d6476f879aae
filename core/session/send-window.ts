import { SESSION_LIMITS } from '../contract/session.ts';

/** Injected time: milliseconds of a monotonic clock, and a cancellable timer. */
export interface Timers {
  now(): number;
  after(milliseconds: number, callback: () => void): () => void;
}

/** Initial and minimum timeout: the receiver may delay acknowledgements. */
const MIN_WAIT_MS = 1_000;
const MAX_WAIT_MS = 8_000;

interface Queued<Frame> {
  readonly frame: Frame;
  readonly bytes: number;
  readonly onSent: (() => void) | undefined;
}

interface Unacknowledged<Frame> {
  readonly sequence: number;
  readonly frame: Frame;
  readonly sentAt: number;
  repeated: boolean;
}

interface SendWindowDeps<Frame> {
  readonly timers: Timers;
  readonly send: (sequence: number, frame: Frame) => void;
  /** Requests an acknowledgement from the other side. */
  readonly probe: () => void;
}

/**
 * The sending half of one direction of a session.
 *
 * A frame is queued → sent and kept, when the other side's limit allows it → acknowledged and dropped. Invariants:
 * 1. A frame gets its sequence when it is first sent, and keeps it when it is repeated.
 * 2. At most `windowBytes` of data and `framesAhead` frames are kept for repetition.
 * 3. Nothing is sent without a connection. A new one starts with all unacknowledged frames.
 * 4. While a frame is unacknowledged or waits for credit, a timer runs and requests a lost acknowledgement again.
 */
export class SendWindow<Frame> {
  readonly #deps: SendWindowDeps<Frame>;
  #urgent: Queued<Frame>[] = [];
  #queue: Queued<Frame>[] = [];
  #kept: Unacknowledged<Frame>[] = [];
  #sequence = 0;
  #acknowledged = 0;
  #sentBytes = 0;
  #limit: number = SESSION_LIMITS.windowBytes;
  /** Sequence of the newest kept frame at the last timeout. Until it is acknowledged, each acknowledgement repeats a frame. */
  #recoverUntil = 0;
  #connected = false;
  #closed = false;
  #smoothed = 0;
  #deviation = 0;
  #backoff = 1;
  #cancelTimer: (() => void) | null = null;

  constructor(deps: SendWindowDeps<Frame>) {
    this.#deps = deps;
  }

  /** Whether nothing is queued and everything is acknowledged. */
  get settled(): boolean {
    return this.#kept.length === 0 && this.#queue.length === 0 && this.#urgent.length === 0;
  }

  /** @param bytes number of data bytes, which need credit; @param onSent called when it is first sent */
  put(frame: Frame, bytes = 0, onSent?: () => void): void {
    this.#queue.push({ frame, bytes, onSent });
    this.#pump();
  }

  /** Queues a frame before those that wait for credit, because a signal must not wait for unread input. */
  putUrgent(frame: Frame): void {
    this.#urgent.push({ frame, bytes: 0, onSent: undefined });
    this.#pump();
  }

  /** Drops unsent frames and sends this one as the last. */
  putLast(frame: Frame): void {
    this.#queue = [];
    this.#urgent = [];
    this.putUrgent(frame);
  }

  connected(): void {
    this.#connected = true;
    this.#backoff = 1;
    this.#deps.probe();
    for (const kept of this.#kept) this.#repeat(kept);
    this.#pump();
    this.#setTimer();
  }

  disconnected(): void {
    this.#connected = false;
    this.#clearTimer();
  }

  close(): void {
    this.#closed = true;
    this.disconnected();
    this.#queue = [];
    this.#urgent = [];
    this.#kept = [];
  }

  /** Applies an acknowledgement and a limit from the other side. Ignores numbers that are impossible or outdated. */
  onAcknowledgement(ack: number, limit: number): void {
    if (this.#closed || ack > this.#sequence) return;
    const advanced = ack > this.#acknowledged;
    if (advanced) this.#acknowledge(ack);
    const raised = limit > this.#limit;
    this.#limit = Math.max(this.#limit, Math.min(limit, this.#sentBytes + SESSION_LIMITS.windowBytes));
    const [oldest] = this.#kept;
    if (advanced && oldest !== undefined && oldest.sequence <= this.#recoverUntil && !oldest.repeated)
      this.#repeat(oldest);
    this.#pump();
    // Only progress restarts the timer: a stream in the other direction must not postpone it indefinitely.
    if (!advanced && !raised) return;
    this.#backoff = 1;
    this.#setTimer();
  }

  #acknowledge(ack: number): void {
    const last = this.#kept.find(({ sequence }) => sequence === ack);
    if (last !== undefined && !last.repeated) this.#measure(this.#deps.timers.now() - last.sentAt);
    this.#kept = this.#kept.filter(({ sequence }) => sequence > ack);
    this.#acknowledged = ack;
  }

  /** As in RFC 6298. Only frames that were sent once are measured. */
  #measure(roundTrip: number): void {
    if (this.#smoothed === 0) {
      this.#smoothed = roundTrip;
      this.#deviation = roundTrip / 2;
      return;
    }
    this.#deviation = 0.75 * this.#deviation + 0.25 * Math.abs(this.#smoothed - roundTrip);
    this.#smoothed = 0.875 * this.#smoothed + 0.125 * roundTrip;
  }

  #pump(): void {
    if (!this.#connected || this.#closed) return;
    while (this.#kept.length < SESSION_LIMITS.framesAhead) {
      const next = this.#take();
      if (next === undefined) break;
      this.#sequence += 1;
      this.#sentBytes += next.bytes;
      this.#kept.push({
        sequence: this.#sequence,
        frame: next.frame,
        sentAt: this.#deps.timers.now(),
        repeated: false,
      });
      this.#deps.send(this.#sequence, next.frame);
      next.onSent?.();
    }
    if (this.#cancelTimer === null) this.#setTimer();
  }

  #take(): Queued<Frame> | undefined {
    if (this.#urgent.length > 0) return this.#urgent.shift();
    const [next] = this.#queue;
    if (next === undefined || (next.bytes > 0 && this.#sentBytes + next.bytes > this.#limit))
      return undefined;
    return this.#queue.shift();
  }

  #repeat(kept: Unacknowledged<Frame>): void {
    kept.repeated = true;
    this.#deps.send(kept.sequence, kept.frame);
  }

  #setTimer(): void {
    this.#clearTimer();
    if (!this.#connected || this.settled) return;
    const wait = Math.max(MIN_WAIT_MS, this.#smoothed + 4 * this.#deviation) * this.#backoff;
    this.#cancelTimer = this.#deps.timers.after(Math.min(wait, MAX_WAIT_MS), () => this.#onTimeout());
  }

  #clearTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #onTimeout(): void {
    this.#backoff *= 2;
    const [oldest] = this.#kept;
    if (oldest === undefined) this.#deps.probe();
    else {
      for (const kept of this.#kept) kept.repeated = false;
      this.#recoverUntil = this.#sequence;
      this.#repeat(oldest);
    }
    this.#setTimer();
  }
}
