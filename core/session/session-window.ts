import { ReceiveWindow } from './receive-window.ts';
import { SendWindow, type Timers } from './send-window.ts';

/** A message to the other side's window; it can be lost, repeated or reordered. */
export type WindowMessage<Frame> =
  | {
      readonly kind: 'frame';
      readonly sequence: number;
      readonly frame: Frame;
      readonly ack: number;
      readonly limit: number;
    }
  | { readonly kind: 'ack'; readonly ack: number; readonly limit: number; readonly probe?: true };

interface SessionWindowDeps<Out, In> {
  readonly timers: Timers;
  readonly send: (message: WindowMessage<Out>) => void;
  readonly bytesOf: (frame: In) => number;
  /** Called with each frame once, in order. Its data counts against the window until `consumed`. */
  readonly deliver: (frame: In) => void;
  readonly onViolation: (why: string) => void;
}

/**
 * One end of a session: two directions of numbered frames over messages that can be lost, repeated and reordered. Client
 * and host use the same code, with injected sockets and clocks.
 */
export class SessionWindow<Out, In> {
  readonly #sender: SendWindow<Out>;
  readonly #receiver: ReceiveWindow<In>;
  readonly #send: (message: WindowMessage<Out>) => void;
  #connected = false;

  constructor({ timers, send, bytesOf, deliver, onViolation }: SessionWindowDeps<Out, In>) {
    this.#send = send;
    this.#receiver = new ReceiveWindow({
      timers,
      bytesOf,
      deliver,
      onViolation,
      sendAck: () => this.#ack(),
    });
    this.#sender = new SendWindow({
      timers,
      send: (sequence, frame) =>
        send({ kind: 'frame', sequence, frame, ...this.#receiver.nextAcknowledgement() }),
      probe: () => this.#ack(true),
    });
  }

  get settled(): boolean {
    return this.#sender.settled;
  }

  /** Queues a frame. @param bytes number of data bytes in it; @param onSent called when it leaves the queue */
  put(frame: Out, bytes = 0, onSent?: () => void): void {
    this.#sender.put(frame, bytes, onSent);
  }

  /** Queues a frame before data that waits for credit. */
  putUrgent(frame: Out): void {
    this.#sender.putUrgent(frame);
  }

  /** Drops unsent frames and sends this one as the last. */
  putLast(frame: Out): void {
    this.#sender.putLast(frame);
  }

  receive(message: WindowMessage<In>): void {
    this.#sender.onAcknowledgement(message.ack, message.limit);
    if (message.kind === 'frame') this.#receiver.onFrame(message.sequence, message.frame);
    else if (message.probe) this.#ack();
  }

  consumed(bytes: number): void {
    this.#receiver.consumed(bytes);
  }

  /** Called after a connect or reconnect: sends an acknowledgement and all frames that may not have arrived. */
  connected(): void {
    this.#connected = true;
    this.#sender.connected();
  }

  /** Sends an acknowledgement now, without waiting for the next frame. */
  acknowledge(): void {
    this.#ack();
  }

  /** Requests an acknowledgement from the other side, even if no connection is known. */
  probe(): void {
    this.#send({ kind: 'ack', ...this.#receiver.nextAcknowledgement(), probe: true });
  }

  disconnected(): void {
    this.#connected = false;
    this.#sender.disconnected();
  }

  close(): void {
    this.#sender.close();
    this.#receiver.close();
    this.#connected = false;
  }

  #ack(probe?: true): void {
    if (!this.#connected) return;
    this.#send({ kind: 'ack', ...this.#receiver.nextAcknowledgement(), ...(probe && { probe }) });
  }
}
