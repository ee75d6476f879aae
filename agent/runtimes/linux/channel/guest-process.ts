import type { ProblemCode } from '../../../../core/contract/problem.ts';
import type { OutputStream } from '../../../../core/contract/session.ts';
import { messageOf, RuntimeError } from '../../../errors.ts';
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
  /** 128 + signal if a signal ended the process. */
  readonly exitCode: number;
  readonly signal: number;
  /** Whether it was killed because the container reached its memory limit. */
  readonly outOfMemory: boolean;
}

/** The functions of the channel that a process uses. */
interface Carrier {
  /** Returns false if the limit of unsent data is exceeded. */
  send(frame: Buffer): void;
  release(stream: number): void;
}

export type OutputSource = OutputStream;
type OutputHandler = (source: OutputSource, data: Buffer) => void;

/**
 * One process in a guest. Its output goes to a handler, its input comes from calls, and both are bounded by windows.
 *
 * The guest gets credit for new output only after the consumer has reported earlier output as `consumed`. A process with too
 * much output therefore blocks in the guest, and at most `STREAM_WINDOW` bytes are held here. Input beyond the guest's credit
 * waits here, at most `MAX_INPUT_BYTES`.
 */
export class GuestProcess {
  static readonly MAX_INPUT_BYTES = 1024 * 1024;
  readonly stream: number;
  /** The pid in the guest. Rejects if the process could not be started. */
  readonly started: Promise<number>;
  readonly exited: Promise<ExitStatus>;
  readonly #carrier: Carrier;
  readonly #settleStarted: PromiseWithResolvers<number>;
  readonly #settleExited: PromiseWithResolvers<ExitStatus>;
  /** The number of bytes that the guest can still send. */
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
  /** Output that arrived before a handler was set, or in the current piece of data. */
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

  /** Sets the handler for output, which first receives the output so far. The handler must call `consumed`. */
  onOutput(handler: OutputHandler): void {
    this.#handler = handler;
    this.flush();
  }

  /**
   * Passes waiting output to the handler. The channel calls it once for all frames that arrived together, because a call for one
   * byte costs a handler as much as a call for thousands.
   */
  flush(): void {
    if (this.#handler === null) return;
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take())
      this.#handler(next.stream, next.data);
  }

  /** Sets the listener for the number of input bytes that were sent to the guest. */
  onInputSent(listener: (bytes: number) => void): void {
    this.#inputSent = listener;
  }

  /** Queues input. Returns false and drops the data if the limit of waiting input is reached. */
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

  /** Reports that the consumer has processed that many bytes of output. */
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
   * Handles a frame of the guest for this stream.
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
    else throw new GuestProtocolError(`The guest sent a frame of type ${type} for a process`);
  }

  /** Must be called when the channel has closed. */
  abandon(reason: Error): void {
    this.flush();
    this.#ended = true;
    this.#input = [];
    this.#settleStarted.reject(reason);
    this.#settleExited.reject(reason);
  }

  #receiveOutput(type: number, payload: Buffer): void {
    // An empty frame uses no credit, but each one would use the agent's memory.
    if (payload.length === 0) throw new GuestProtocolError('The guest sent an empty output frame');
    this.#window -= payload.length;
    if (this.#window < 0) throw new GuestProtocolError('The guest sent more output than its credit');
    this.#waiting.add(type === FRAME.stdout ? 'stdout' : 'stderr', payload);
  }

  #receiveStarted(payload: Buffer): void {
    if (this.#hasStarted) throw new GuestProtocolError('The guest reported a second start of a process');
    this.#hasStarted = true;
    if (payload.length < 4) throw new GuestProtocolError('The guest reported a start without a pid');
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
    if (payload.length !== 8) throw new GuestProtocolError('The guest reported an exit without a code');
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
    if (bytes === 0) throw new GuestProtocolError('The guest granted zero bytes of credit');
    this.#inputCredit += bytes;
    if (this.#inputCredit > STDIN_WINDOW)
      throw new GuestProtocolError('The guest granted more credit than its input window');
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

/** The START values of the guest's `protocol.h`. */
const START_PROBLEMS: ReadonlyMap<number, ProblemCode> = new Map([
  [1001, 'program-not-found'],
  [1002, 'program-not-executable'],
]);

/** The guest could not start the process. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  readonly code: ProblemCode;
  /** The guest's reason; empty if it gave none. */
  readonly why: string;
  constructor(problem: number, why: string) {
    const text = why.replace(/[^\x20-\x7e]/g, '?');
    super(`The process could not be started: ${text || `errno ${problem}`}`);
    this.code = START_PROBLEMS.get(problem) ?? 'step-failed';
    this.why = text;
  }
}

/** The error of a start for its caller, from the error of a guest or a relay. */
export const startError = (error: unknown): RuntimeError =>
  new RuntimeError(error instanceof SpawnError ? error.code : 'step-failed', messageOf(error), {
    cause: error,
  });
