import { ReceiveWindow } from './receive-window.ts';
import { SendWindow, type Timers } from './send-window.ts';

/** What a window has to say to the other side's; may be lost, repeated and overtaken on its way. */
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
  /** In order, each once. Its data counts until `consumed` says that it is done with. */
  readonly deliver: (frame: In) => void;
  readonly onViolation: (why: string) => void;
}

/**
 * One end of a session: two directions of numbered frames over messages that may be lost, repeated and reordered.
 * Client and host use the same; it knows neither sockets nor clocks but those it is given.
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
      send: (sequence, frame) => send({ kind: 'frame', sequence, frame, ...this.#receiver.tell() }),
      probe: () => this.#ack(true),
    });
  }

  get settled(): boolean {
    return this.#sender.settled;
  }

  /** Queues a frame. @param bytes of data in it; @param onSent called when it leaves the queue */
  put(frame: Out, bytes = 0, onSent?: () => void): void {
    this.#sender.put(frame, bytes, onSent);
  }

  /** Queues a frame before all data that waits for credit. */
  putUrgent(frame: Out): void {
    this.#sender.putUrgent(frame);
  }

  /** Drops what has not been sent, and sends this as the last frame. */
  putLast(frame: Out): void {
    this.#sender.putLast(frame);
  }

  receive(message: WindowMessage<In>): void {
    this.#sender.heard(message.ack, message.limit);
    if (message.kind === 'frame') this.#receiver.take(message.sequence, message.frame);
    else if (message.probe) this.#ack();
  }

  consumed(bytes: number): void {
    this.#receiver.consumed(bytes);
  }

  /** A way to the other side is there, a new one or the first: says what is here, and sends what may not have arrived. */
  connected(): void {
    this.#connected = true;
    this.#sender.connected();
  }

  /** Says now what has come, without waiting for a frame that takes it along. */
  acknowledge(): void {
    this.#ack();
  }

  /** Asks for a word of the other side, though no way to it is known. */
  probe(): void {
    this.#send({ kind: 'ack', ...this.#receiver.tell(), probe: true });
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
    this.#send({ kind: 'ack', ...this.#receiver.tell(), ...(probe && { probe }) });
  }
}
