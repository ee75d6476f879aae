import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import { frame } from './frames.ts';

/** A docker client's upgraded connection: receives output and sends input; its half-close ends the input. */
export class ClientStream {
  readonly #socket: Duplex;
  readonly #tty: boolean;
  readonly closed: Promise<void>;

  constructor(socket: Duplex, tty: boolean) {
    this.#socket = socket;
    this.#tty = tty;
    socket.on('error', () => socket.destroy());
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** @returns false if the buffer is full */
  output(stream: OutputStream, bytes: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    return this.#socket.write(this.#tty ? bytes : frame(stream, bytes));
  }

  /** Resolves when the buffer has room or the client has disconnected. */
  async send(stream: OutputStream, bytes: Uint8Array): Promise<void> {
    if (this.output(stream, bytes)) return;
    const drained = new Promise<void>((resolve) => this.#socket.once('drain', resolve));
    await Promise.race([drained, this.closed]);
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  end(): void {
    this.#socket.end();
    // Handles clients that closed their half long ago and clients that never do.
    this.#socket.resume();
    this.#socket.once('finish', () => setTimeout(() => this.#socket.destroy(), LINGER_MS).unref());
  }

  pipeInput(session: SessionStream): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#socket.pause();
      session.write(chunk).then(
        () => this.#socket.resume(),
        () => this.#socket.resume(),
      );
    });
    this.#socket.once('end', () => void session.endInput());
    this.#socket.resume();
  }

  /** Discards input; only the disconnect is detected. */
  ignoreInput(): void {
    this.#socket.resume();
  }
}

/** Time for a client to close its half once everything was sent. */
const LINGER_MS = 5_000;

export interface Joining {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * Connects a client with a session until either ends. A disconnecting client ends the session.
 * @param heard called with all output, including streams that the client is not attached to
 */
export const join = async (
  client: ClientStream,
  session: SessionStream,
  joining: Joining,
  heard: (stream: OutputStream, bytes: Uint8Array) => void = () => undefined,
) => {
  session.onOutput((stream, bytes) => {
    heard(stream, bytes);
    if (!joining[stream]) return;
    if (!client.output(stream, bytes)) session.pause();
  });
  client.onDrain(() => session.resume());
  if (joining.stdin) client.pipeInput(session);
  else client.ignoreInput();
  void client.closed.then(() => session.close());
  return session.exit;
};
