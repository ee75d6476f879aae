import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionStream } from '../session.ts';
import type { DetachKeys } from './detach-keys.ts';
import { frame } from './frames.ts';

/** The upgraded connection of a docker client: takes output and provides input. A half-close ends the input. */
export class ClientStream {
  readonly #socket: Duplex;
  readonly #tty: boolean;
  readonly closed: Promise<void>;
  /** Whether the client sent its detach keys. The process continues. */
  hasDetached = false;

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

  /** @param detachKeys input that ends the connection instead of being passed on */
  pipeInput(session: SessionStream, detachKeys?: DetachKeys): void {
    this.#socket.on('data', (chunk: Buffer) => {
      if (detachKeys?.found) return;
      const input = detachKeys?.take(chunk) ?? chunk;
      if (input.length > 0) {
        this.#socket.pause();
        const resume = (): unknown => this.#socket.resume();
        session.write(input).then(resume, resume);
      }
      if (!detachKeys?.found) return;
      this.hasDetached = true;
      this.end();
    });
    this.#socket.once('end', () => {
      if (!this.hasDetached) session.endInput();
    });
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
  /** With a terminal: keys in the input that disconnect the client, and leave the process running. */
  readonly detachKeys?: DetachKeys;
  /** Whether the process ends with its session. A main process does not. */
  readonly isExec?: boolean;
}

/**
 * Connects a client with a session until either ends. A disconnecting client ends the session, unless it has detached from an
 * exec, whose process then continues.
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
  if (attached.stdin) client.pipeInput(session, attached.detachKeys);
  else client.ignoreInput();
  void client.closed.then(() => {
    if (!client.hasDetached || !attached.isExec) return session.close();
    session.onOutput(() => undefined);
    return session.resume();
  });
  return session.exit;
};
