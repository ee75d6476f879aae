import { connect, type Socket } from 'node:net';
import type { OutputStream } from '../../../../core/contract/session.ts';
import { RuntimeError } from '../../../errors.ts';
import { LOST_OUTPUT, OUTPUT_WINDOW_BYTES, type PacedProcess } from './paced-process.ts';

/** The same values as in the helper's `attach.h`. */
const TO_CLIENT = { stdout: 0, stderr: 1, lost: 2 } as const;
const FROM_CLIENT = { input: 0, endInput: 1, resize: 2, hello: 3, pace: 4 } as const;
const HEAD_BYTES = 5;
const PIECE_BYTES = 32 * 1024;

const frame = (kind: number, data: Buffer): Buffer => {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(kind, 0);
  head.writeUInt32LE(data.length, 1);
  return Buffer.concat([head, data]);
};

/** An attachment to a process container's main process, through the helper's socket. */
export class HelperAttachment implements PacedProcess {
  readonly exited: Promise<number>;
  readonly #path: string;
  readonly #socket: Socket;
  /** A separate connection, because the helper stops reading a connection with input while the process does not read. */
  #pacing: Socket | null = null;
  readonly #signalMain: (signal: number) => void;
  #handler: ((stream: OutputStream, data: Buffer) => void) | null = null;
  #unread: Buffer = Buffer.alloc(0);
  #outstanding = 0;
  #taken: (bytes: number) => void = () => undefined;

  /** @param exited resolves with the main process's exit code once it is recorded */
  static async open(
    path: string,
    { logs, exited, signal }: { logs: boolean; exited: Promise<number>; signal: (signal: number) => void },
  ): Promise<HelperAttachment> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) =>
        reject(
          new RuntimeError('invalid-state', 'The client could not be attached to the main process', {
            cause,
          }),
        ),
      );
    });
    const attached = new HelperAttachment(path, socket, exited, signal);
    attached.#send(FROM_CLIENT.hello, Buffer.from([logs ? 1 : 0]));
    return attached;
  }

  private constructor(
    path: string,
    socket: Socket,
    exited: Promise<number>,
    signal: (signal: number) => void,
  ) {
    this.#path = path;
    this.#socket = socket;
    this.#signalMain = signal;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    void closed.then(() => this.#pacing?.destroy());
    // The last output must precede the exit.
    this.exited = Promise.all([exited, closed]).then(([exitCode]) => exitCode);
    this.exited.catch(() => undefined);
    socket.pause();
    socket.on('error', () => undefined);
  }

  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void {
    this.#handler = handler;
    this.#socket.on('data', (piece: Buffer) => this.#read(piece));
    this.#socket.resume();
  }

  consumed(bytes: number): void {
    this.#outstanding -= bytes;
    if (this.#outstanding < OUTPUT_WINDOW_BYTES) this.#socket.resume();
  }

  write(data: Buffer): void {
    for (let from = 0; from < data.length; from += PIECE_BYTES) {
      const piece = data.subarray(from, from + PIECE_BYTES);
      this.#send(FROM_CLIENT.input, piece, () => this.#taken(piece.length));
    }
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#taken = listener;
  }

  endInput(): void {
    this.#send(FROM_CLIENT.endInput, Buffer.alloc(0));
  }

  resize(columns: number, rows: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(columns, 0);
    size.writeUInt16LE(rows, 2);
    this.#send(FROM_CLIENT.resize, size);
  }

  signal(signal: number): void {
    this.#signalMain(signal);
  }

  pace(bytes?: number): void {
    if (this.#pacing === null) {
      this.#pacing = connect(this.#path);
      // Without this connection, the process does not wait.
      this.#pacing.on('error', () => undefined);
      this.#pacing.resume();
    }
    const payload = Buffer.alloc(bytes === undefined ? 0 : 4);
    if (bytes !== undefined) payload.writeUInt32LE(bytes);
    this.#pacing.write(frame(FROM_CLIENT.pace, payload));
  }

  end(): void {
    this.#socket.destroy();
    this.#pacing?.destroy();
  }

  #send(kind: number, data: Buffer, done?: () => void): void {
    this.#socket.write(frame(kind, data), () => done?.());
  }

  #read(piece: Buffer): void {
    this.#unread = this.#unread.length === 0 ? piece : Buffer.concat([this.#unread, piece]);
    while (this.#unread.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#unread.readUInt32LE(1);
      if (this.#unread.length < end) break;
      const kind = this.#unread.readUInt8(0);
      const lost = kind === TO_CLIENT.lost;
      this.#give(
        kind === TO_CLIENT.stdout ? 'stdout' : 'stderr',
        lost ? LOST_OUTPUT : this.#unread.subarray(HEAD_BYTES, end),
      );
      this.#unread = this.#unread.subarray(end);
    }
    if (this.#outstanding >= OUTPUT_WINDOW_BYTES) this.#socket.pause();
  }

  #give(stream: OutputStream, data: Buffer): void {
    this.#outstanding += data.length;
    this.#handler?.(stream, Buffer.from(data));
  }
}
