import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import { frame } from './frames.ts';

/** A docker client's connection, once it is one: output goes to it, what it sends is input, its half-close ends input. */
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

  /** @returns false when there is no room for more at the moment */
  output(stream: OutputStream, bytes: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    return this.#socket.write(this.#tty ? bytes : frame(stream, bytes));
  }

  /** Resolves when there is room for more, or nobody there to have any. */
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
    // A client that has closed its half long ago, and one that never will, are both done with.
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

  /** Nobody reads its input: only that it goes away is to be seen. */
  ignoreInput(): void {
    this.#socket.resume();
  }
}

/** How long a client may take to close its half once everything has been sent. */
const LINGER_MS = 5_000;

export interface Joining {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * Joins a client to a session until either has ended; a client that goes takes the session with it.
 * @param heard is told of all output, also of what the client is not joined to
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
