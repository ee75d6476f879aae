import { SESSION_LIMITS } from '../contract/session.ts';

/** Time, passed in: milliseconds of a clock that never goes back, and a timer that can be called off. */
export interface Timers {
  now(): number;
  after(milliseconds: number, callback: () => void): () => void;
}

/** Before the first round trip has been measured, and never less: whoever acknowledges may wait a little with it. */
const LEAST_WAIT_MS = 1_000;
const MOST_WAIT_MS = 8_000;

interface Queued<Frame> {
  readonly frame: Frame;
  readonly bytes: number;
  readonly onSent: (() => void) | undefined;
}

interface Unacknowledged<Frame> {
  readonly sequence: number;
  readonly frame: Frame;
  readonly sentAt: number;
  again: boolean;
}

interface SendWindowDeps<Frame> {
  readonly timers: Timers;
  readonly send: (sequence: number, frame: Frame) => void;
  /** Asks the other side how far it has come. */
  readonly probe: () => void;
}

/**
 * The sending half of one direction of a session.
 *
 * A frame is queued → sent, once the other side's limit allows, and kept → acknowledged and forgotten. Invariants:
 * 1. A frame gets its sequence as it is first sent, and keeps it whenever it is sent again.
 * 2. At most `windowBytes` of data and `framesAhead` frames are kept for sending again.
 * 3. Nothing is sent while there is no connection; a new one begins with everything that is not acknowledged.
 * 4. While something is unacknowledged or waits for credit, a timer runs: an answer that was lost is asked for again.
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
  /** While what was kept at a timeout is not acknowledged: each step forward sends the next of it. */
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

  /** Nothing waits, and everything has arrived. */
  get settled(): boolean {
    return this.#kept.length === 0 && this.#queue.length === 0 && this.#urgent.length === 0;
  }

  /** @param bytes of data, which need credit; @param onSent called as it is first sent */
  put(frame: Frame, bytes = 0, onSent?: () => void): void {
    this.#queue.push({ frame, bytes, onSent });
    this.#pump();
  }

  /** Before what waits for credit: a signal must not wait behind input that nobody reads. */
  putUrgent(frame: Frame): void {
    this.#urgent.push({ frame, bytes: 0, onSent: undefined });
    this.#pump();
  }

  /** Drops what has not been sent, and sends this as the last. */
  putLast(frame: Frame): void {
    this.#queue = [];
    this.#urgent = [];
    this.putUrgent(frame);
  }

  connected(): void {
    this.#connected = true;
    this.#backoff = 1;
    this.#deps.probe();
    for (const kept of this.#kept) this.#sendAgain(kept);
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

  /** What the other side says it has, and takes. Numbers that cannot be are not believed; old ones change nothing. */
  heard(ack: number, limit: number): void {
    if (this.#closed || ack > this.#sequence) return;
    const advanced = ack > this.#acknowledged;
    if (advanced) this.#acknowledge(ack);
    const raised = limit > this.#limit;
    this.#limit = Math.max(this.#limit, Math.min(limit, this.#sentBytes + SESSION_LIMITS.windowBytes));
    const [oldest] = this.#kept;
    if (advanced && oldest !== undefined && oldest.sequence <= this.#recoverUntil && !oldest.again)
      this.#sendAgain(oldest);
    this.#pump();
    // Only what is news puts it off: a stream the other way must not keep it from ever running out.
    if (!advanced && !raised) return;
    this.#backoff = 1;
    this.#setTimer();
  }

  #acknowledge(ack: number): void {
    const last = this.#kept.find(({ sequence }) => sequence === ack);
    if (last !== undefined && !last.again) this.#measure(this.#deps.timers.now() - last.sentAt);
    this.#kept = this.#kept.filter(({ sequence }) => sequence > ack);
    this.#acknowledged = ack;
  }

  /** RFC 6298, of frames that were sent once. */
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
        again: false,
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

  #sendAgain(kept: Unacknowledged<Frame>): void {
    kept.again = true;
    this.#deps.send(kept.sequence, kept.frame);
  }

  #setTimer(): void {
    this.#clearTimer();
    if (!this.#connected || this.settled) return;
    const wait = Math.max(LEAST_WAIT_MS, this.#smoothed + 4 * this.#deviation) * this.#backoff;
    this.#cancelTimer = this.#deps.timers.after(Math.min(wait, MOST_WAIT_MS), () => this.#late());
  }

  #clearTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #late(): void {
    this.#backoff *= 2;
    const [oldest] = this.#kept;
    if (oldest === undefined) this.#deps.probe();
    else {
      for (const kept of this.#kept) kept.again = false;
      this.#recoverUntil = this.#sequence;
      this.#sendAgain(oldest);
    }
    this.#setTimer();
  }
}
