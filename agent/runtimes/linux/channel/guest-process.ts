import type { OutputStream } from '../../../../core/contract/session.ts';
import { OutputRuns } from '../../output-runs.ts';
import {
  encodeFrame,
  FLAG_OUT_OF_MEMORY,
  FRAME,
  type Frame,
  GuestProtocolError,
  MAX_PAYLOAD,
  STDIN_WINDOW,
  STREAM_WINDOW,
} from './frames.ts';

export interface ExitStatus {
  /** 128 + signal, where a signal ended it. */
  readonly exitCode: number;
  readonly signal: number;
  /** It was killed because the container had reached its limit of memory. */
  readonly outOfMemory: boolean;
}

/** What a process's channel does for it. */
interface Carrier {
  /** False once more waits to be sent than may. */
  send(frame: Buffer): void;
  release(stream: number): void;
}

export type OutputSource = OutputStream;
type OutputHandler = (source: OutputSource, data: Buffer) => void;

/**
 * One process in a guest: its output to a handler, its input by calls, both within windows.
 *
 * New output is granted only when the consumer has consumed the earlier output (`consumed`), so a process that
 * floods waits in the guest; at most `STREAM_WINDOW` bytes of it are ever here. Input beyond what the guest has
 * granted waits here, at most `MAX_INPUT_BYTES`.
 */
export class GuestProcess {
  static readonly MAX_INPUT_BYTES = 1024 * 1024;
  readonly stream: number;
  /** Pid in the guest. Rejects when it could not be started. */
  readonly started: Promise<number>;
  readonly exited: Promise<ExitStatus>;
  readonly #carrier: Carrier;
  readonly #settleStarted: PromiseWithResolvers<number>;
  readonly #settleExited: PromiseWithResolvers<ExitStatus>;
  /** What the guest may still send. */
  #window = STREAM_WINDOW;
  #toGrant = 0;
  #inputCredit = STDIN_WINDOW;
  #input: Buffer[] = [];
  #inputBytes = 0;
  #inputEnded = false;
  #hasStarted = false;
  #ended = false;
  #inputSent: (bytes: number) => void = () => {};
  #handler: OutputHandler | null = null;
  /** What came before there was a handler, or with the piece of the connection that is being read. */
  readonly #waiting = new OutputRuns();

  constructor(stream: number, carrier: Carrier) {
    this.stream = stream;
    this.#carrier = carrier;
    this.#settleStarted = Promise.withResolvers();
    this.#settleExited = Promise.withResolvers();
    this.started = this.#settleStarted.promise;
    this.exited = this.#settleExited.promise;
    // Neither promise is required to be awaited.
    this.started.catch(() => {});
    this.exited.catch(() => {});
  }

  /** Output goes there, beginning with what has come already. The handler says by `consumed` when it is done with it. */
  onOutput(handler: OutputHandler): void {
    this.#handler = handler;
    this.flush();
  }

  /**
   * Passes on what has come. The channel calls it once for all frames that arrived together: for a handler, a frame of a
   * single byte costs as much as one of thousands.
   */
  flush(): void {
    if (this.#handler === null) return;
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take())
      this.#handler(next.stream, next.data);
  }

  /** Tells how much input has gone to the guest. */
  onInputSent(listener: (bytes: number) => void): void {
    this.#inputSent = listener;
  }

  /** Returns false when what waits to be sent is already as much as may wait; then the data is not taken. */
  write(data: Buffer): boolean {
    if (this.#ended || this.#inputEnded || this.#inputBytes + data.length > GuestProcess.MAX_INPUT_BYTES)
      return false;
    this.#input.push(data);
    this.#inputBytes += data.length;
    this.#sendInput();
    return true;
  }

  endInput(): void {
    if (this.#inputEnded) return;
    this.#inputEnded = true;
    this.#sendInput();
  }

  resize(columns: number, rows: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    this.#send(FRAME.resize, size);
  }

  kill(signal: number): void {
    this.#send(FRAME.signal, Buffer.from([signal]));
  }

  /** The consumer is done with that many bytes of output. */
  consumed(bytes: number): void {
    this.#toGrant += bytes;
    if (this.#toGrant < STREAM_WINDOW / 4 || this.#ended) return;
    const grant = Buffer.alloc(4);
    grant.writeUInt32LE(this.#toGrant);
    this.#window += this.#toGrant;
    this.#toGrant = 0;
    this.#send(FRAME.credit, grant);
  }

  /**
   * A frame of the guest for this stream.
   * @throws {GuestProtocolError}
   */
  receive({ type, flags, payload }: Frame): void {
    if (type === FRAME.stdout || type === FRAME.stderr) {
      this.#receiveOutput(type, payload);
      return;
    }
    this.flush();
    if (type === FRAME.started) this.#receiveStarted(payload);
    else if (type === FRAME.exited) this.#receiveExit(flags, payload);
    else if (type === FRAME.credit && payload.length === 4) this.#receiveCredit(payload.readUInt32LE(0));
    else throw new GuestProtocolError(`A frame of type ${type} for a process`);
  }

  /** The channel is gone. */
  abandon(reason: Error): void {
    this.flush();
    this.#ended = true;
    this.#input = [];
    this.#settleStarted.reject(reason);
    this.#settleExited.reject(reason);
  }

  #receiveOutput(type: number, payload: Buffer): void {
    // It would take nothing from the window, and memory of the agent for each frame.
    if (payload.length === 0) throw new GuestProtocolError('Output without data');
    this.#window -= payload.length;
    if (this.#window < 0) throw new GuestProtocolError('More output than was granted');
    this.#waiting.add(type === FRAME.stdout ? 'stdout' : 'stderr', payload);
  }

  #receiveStarted(payload: Buffer): void {
    if (this.#hasStarted) throw new GuestProtocolError('A second start');
    this.#hasStarted = true;
    if (payload.length < 4) throw new GuestProtocolError('A start without a pid');
    const pid = payload.readInt32LE(0);
    if (pid > 0) {
      this.#settleStarted.resolve(pid);
      return;
    }
    this.#ended = true;
    this.#carrier.release(this.stream);
    const reason = new SpawnError(-pid, payload.toString('utf8', 4));
    this.#settleStarted.reject(reason);
    this.#settleExited.reject(reason);
  }

  #receiveExit(flags: number, payload: Buffer): void {
    if (payload.length !== 8) throw new GuestProtocolError('An exit without a code');
    this.#ended = true;
    this.#input = [];
    this.#carrier.release(this.stream);
    this.#settleStarted.resolve(0);
    this.#settleExited.resolve({
      exitCode: payload.readInt32LE(0) & 255,
      signal: payload.readInt32LE(4) & 127,
      outOfMemory: (flags & FLAG_OUT_OF_MEMORY) !== 0,
    });
  }

  #receiveCredit(bytes: number): void {
    if (bytes === 0) throw new GuestProtocolError('A grant of nothing');
    this.#inputCredit += bytes;
    if (this.#inputCredit > STDIN_WINDOW)
      throw new GuestProtocolError('More input granted than there is room for');
    this.#sendInput();
  }

  #sendInput(): void {
    while (this.#input.length > 0 && this.#inputCredit > 0) {
      const first = this.#input.shift() ?? Buffer.alloc(0);
      const most = Math.min(first.length, this.#inputCredit, MAX_PAYLOAD);
      if (most < first.length) this.#input.unshift(first.subarray(most));
      this.#inputCredit -= most;
      this.#inputBytes -= most;
      this.#send(FRAME.stdin, first.subarray(0, most));
      this.#inputSent(most);
    }
    if (this.#inputEnded && this.#input.length === 0) this.#send(FRAME.closeStdin);
  }

  #send(type: number, payload?: Buffer): void {
    if (!this.#ended) this.#carrier.send(encodeFrame(type, this.stream, payload));
  }
}

/** The guest could not start the process. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  readonly errno: number;
  constructor(errno: number, why: string) {
    super(`The process could not be started: ${why.replace(/[^\x20-\x7e]/g, '?') || `errno ${errno}`}`);
    this.errno = errno;
  }
}
