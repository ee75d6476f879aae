import type { OutputStream } from '../../../../core/contract/session.ts';
import { type Cancel, type Clock, nothingToCancel, sleep } from '../../../clock.ts';
import type { SessionProcess } from '../../session-process.ts';
import { LOG_PAUSE_MS } from './log-entries.ts';
import { LOST_OUTPUT, OUTPUT_WINDOW_BYTES, type PacedProcess } from './paced-process.ts';
import { readOutput } from './read-log.ts';

const READ_BYTES = 64 * 1024;
/** After this time, reported output is in the log, including an unfinished line. */
const SETTLED_MS = 2 * LOG_PAUSE_MS;

interface ByLog {
  /** Whether the process waits for the reader. */
  readonly paced: boolean;
  readonly path: string;
  /** Where the process's output begins. */
  readonly cursor: string;
  /** Resolves once the process has ended and all its output is in the log. */
  readonly logged: Promise<unknown>;
  readonly clock: Pick<Clock, 'after'>;
}

/**
 * A lossless view of a main process. Output is read from the log, no faster than the reader consumes it. The attached process
 * reports new output and receives the input. With `paced` the process waits for the reader before the log drops unread output.
 * Otherwise it does not wait, and output that the log has dropped is reported as lost.
 *
 * Invariants: one read at a time; no reads beyond the window; the exit comes after the last output.
 */
export class LogAttachment implements SessionProcess {
  readonly exited: Promise<number>;
  readonly #joined: PacedProcess;
  readonly #paced: boolean;
  readonly #path: string;
  readonly #clock: Pick<Clock, 'after'>;
  #cursor: string;
  #handler: ((stream: OutputStream, data: Buffer) => void) | null = null;
  #outstanding = 0;
  #reading = false;
  /** Whether there may be new output since the last read began. */
  #readRequested = true;
  #ended = false;
  #cancelSettle: Cancel = nothingToCancel;
  readonly #drained = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  #isLast = false;
  /** Bytes left to read of the output that was in the log when pacing began. */
  #unpaced: number | null = null;

  constructor(joined: PacedProcess, { path, cursor, logged, clock, paced }: ByLog) {
    this.#joined = joined;
    this.#paced = paced;
    this.#path = path;
    this.#cursor = cursor;
    this.#clock = clock;
    this.exited = Promise.race([this.#untilDrained(logged), this.#failed.promise]);
    this.exited.catch(() => undefined);
  }

  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void {
    this.#handler = handler;
    this.#joined.onOutput((_, data) => {
      this.#joined.consumed(data.length);
      this.#readNowAndSettled();
    });
    // Output from just before the attachment may not be in the log yet, and is not reported again.
    this.#readNowAndSettled();
  }

  consumed(bytes: number): void {
    this.#outstanding -= bytes;
    void this.#read();
  }

  write(data: Buffer): void {
    this.#joined.write(data);
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#joined.onInputTaken(listener);
  }

  endInput(): void {
    this.#joined.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#joined.resize(columns, rows);
  }

  signal(signal: number): void {
    this.#joined.signal(signal);
  }

  end(): void {
    this.#ended = true;
    this.#cancelSettle();
    this.#drained.resolve();
    this.#joined.end();
  }

  async #untilDrained(logged: Promise<unknown>): Promise<number> {
    try {
      const exitCode = await this.#joined.exited;
      await logged;
      return exitCode;
    } catch (error) {
      // The exit was not observed, so the last output may not be in the log yet.
      await sleep(this.#clock, SETTLED_MS);
      throw error;
    } finally {
      this.#isLast = true;
      this.#requestRead();
      await this.#drained.promise;
    }
  }

  /** Reads now, and again when the reported output is in the log. */
  #readNowAndSettled(): void {
    this.#requestRead();
    this.#cancelSettle();
    this.#cancelSettle = this.#clock.after(SETTLED_MS, () => this.#requestRead());
  }

  #requestRead(): void {
    this.#readRequested = true;
    void this.#read();
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#handler === null) return;
    this.#reading = true;
    try {
      while (this.#readRequested && !this.#ended && this.#outstanding < OUTPUT_WINDOW_BYTES)
        await this.#readOnce(this.#handler);
    } catch (error) {
      // The log cannot be read. The reader gets an error instead of an exit, and the process does not wait.
      this.#failed.reject(error);
      this.end();
    } finally {
      this.#reading = false;
    }
  }

  async #readOnce(handler: (stream: OutputStream, data: Buffer) => void): Promise<void> {
    const isLast = this.#isLast;
    this.#readRequested = false;
    const { pieces, truncated, cursor, length, left } = await readOutput(
      this.#path,
      this.#cursor,
      READ_BYTES,
    );
    if (this.#ended) return;
    this.#cursor = cursor;
    if (this.#paced) this.#pace({ truncated, length, left });
    if (truncated) this.#give(handler, 'stderr', LOST_OUTPUT);
    for (const { stream, bytes } of pieces) this.#give(handler, stream, bytes);
    if (pieces.length > 0) this.#readRequested = true;
    else if (isLast) this.#drained.resolve();
  }

  /**
   * Reports how much of the output has been read since pacing began. The count restarts at the end of the log and after a loss,
   * where the counts of reader and process can differ.
   */
  #pace({ truncated, length, left }: { truncated: boolean; length: number; left: number }): void {
    if (this.#unpaced === null || truncated || left === 0) {
      this.#unpaced = left;
      this.#joined.pace();
      return;
    }
    const before = Math.min(length, this.#unpaced);
    this.#unpaced -= before;
    if (length > before) this.#joined.pace(length - before);
  }

  #give(handler: (stream: OutputStream, data: Buffer) => void, stream: OutputStream, data: Buffer): void {
    if (data.length === 0) return;
    this.#outstanding += data.length;
    handler(stream, data);
  }
}
