import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import { frame } from './frames.ts';

/** The upgraded connection of a docker client: takes output and provides input. A half-close ends the input. */
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

  /** Resolves when the buffer can take more, or the client has disconnected. */
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
    // Reading detects a client that has closed its half. The timer handles a client that never does.
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

/** Time for a client to close its half after all output was sent. */
const LINGER_MS = 5_000;

export interface AttachedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * Connects a client with a session until either ends. A disconnecting client ends the session.
 * @param onOutputReceived called with all output, including streams that the client is not attached to
 */
export const join = async (
  client: ClientStream,
  session: SessionStream,
  attached: AttachedStreams,
  onOutputReceived: (stream: OutputStream, bytes: Uint8Array) => void = () => undefined,
) => {
  session.onOutput((stream, bytes) => {
    onOutputReceived(stream, bytes);
    if (!attached[stream]) return;
    if (!client.output(stream, bytes)) session.pause();
  });
  client.onDrain(() => session.resume());
  if (attached.stdin) client.pipeInput(session);
  else client.ignoreInput();
  void client.closed.then(() => session.close());
  return session.exit;
};
