import type { OutputStream } from '../../../core/contract/session.ts';
import { SIGNALS } from '../../../core/contract/session.ts';
import { RuntimeError } from '../../errors.ts';
import type { SessionProcess } from '../session-process.ts';

/** Input, output and signals of a simulated program. */
export interface Io {
  readonly tty: boolean;
  /** The next piece of input; null at its end. */
  read(): Promise<Buffer | null>;
  /** Resolves when the output window has space for more. */
  write(text: string | Buffer, stream?: OutputStream): Promise<void>;
  /** Aborted by a signal that ends a program. The reason is the signal's number. */
  readonly signal: AbortSignal;
  /** Handles SIGINT instead of ending the program. @param listener returns whether it interrupted something */
  onInterrupt(listener: () => boolean): void;
}

export type Program = (io: Io) => Promise<number>;

/** Maximum unconsumed output, in bytes. */
const OUTPUT_WINDOW = 64 * 1024;
const INTERRUPT_KEY = 3;
const ENDING: readonly number[] = [SIGNALS.HUP, SIGNALS.INT, SIGNALS.QUIT, SIGNALS.KILL, SIGNALS.TERM];

/** A simulated program as a process with input and output, and with the flow control of a real process. */
export class SimulatedProcess implements SessionProcess {
  readonly exited: Promise<number>;
  readonly #exit = Promise.withResolvers<number>();
  readonly #abort = new AbortController();
  readonly #input: Buffer[] = [];
  readonly #tty: boolean;
  #inputEnded = false;
  #released = false;
  #unread: (() => void) | null = null;
  #interrupt: (() => boolean) | null = null;
  #handler: ((stream: OutputStream, data: Buffer) => void) | null = null;
  #early: [OutputStream, Buffer][] = [];
  #taken: (bytes: number) => void = () => undefined;
  #outstanding = 0;
  #full: (() => void) | null = null;

  constructor(program: Program, tty: boolean) {
    this.#tty = tty;
    this.exited = this.#exit.promise;
    this.exited.catch(() => undefined);
    this.#run(program).then(
      (code) => this.#exit.resolve(code),
      (error: unknown) => this.#exit.reject(error),
    );
  }

  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void {
    this.#handler = handler;
    for (const [stream, data] of this.#early.splice(0)) handler(stream, data);
  }

  consumed(bytes: number): void {
    this.#outstanding -= bytes;
    if (this.#outstanding < OUTPUT_WINDOW) this.#full?.();
  }

  write(data: Buffer): void {
    if (this.#inputEnded) this.#taken(data.length);
    else {
      this.#input.push(this.#withoutInterrupts(data));
      this.#unread?.();
    }
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#taken = listener;
  }

  endInput(): void {
    this.#inputEnded = true;
    this.#unread?.();
  }

  resize(): void {
    // No simulated program reads the size of its terminal.
  }

  signal(signal: number): void {
    if (signal === SIGNALS.INT && this.#interrupt !== null) this.#interrupt();
    else if (ENDING.includes(signal)) this.#kill(signal);
  }

  /** Whether the client was gone before the process ended; irrelevant for a main process. */
  get isReleased(): boolean {
    return this.#released;
  }

  end(): void {
    this.#released = true;
    this.#kill(SIGNALS.KILL);
  }

  /** Must be called when the container has ended, which ends this process. */
  abandon(): void {
    this.#exit.reject(new RuntimeError('invalid-state', 'The container has ended.'));
    this.end();
  }

  /** Must be called when this process is a main process and has ended. */
  finish(exitCode: number): void {
    this.#exit.resolve(exitCode);
    this.end();
  }

  /** Removes ^C from a terminal's input and interrupts the foreground program. Input before ^C is dropped. */
  #withoutInterrupts(data: Buffer): Buffer {
    const at = this.#tty ? data.lastIndexOf(INTERRUPT_KEY) : -1;
    if (at < 0 || this.#interrupt?.() !== true) return data;
    this.#taken(at + 1);
    return data.subarray(at + 1);
  }

  #kill(signal: number): void {
    this.#abort.abort(signal);
    this.#full?.();
  }

  async #run(program: Program): Promise<number> {
    const { signal } = this.#abort;
    const ended = new Promise<number>((resolve) => {
      signal.addEventListener('abort', () => resolve(128 + Number(signal.reason)), { once: true });
    });
    const io: Io = {
      tty: this.#tty,
      signal,
      read: () => this.#read(),
      write: (text, stream = 'stdout') => this.#write(this.#tty ? 'stdout' : stream, Buffer.from(text)),
      onInterrupt: (listener) => {
        this.#interrupt = listener;
      },
    };
    return Promise.race([program(io), ended]);
  }

  async #read(): Promise<Buffer | null> {
    while (this.#input.length === 0) {
      if (this.#inputEnded) return null;
      await new Promise<void>((resolve) => {
        this.#unread = resolve;
      });
    }
    const data = this.#input.shift() ?? Buffer.alloc(0);
    this.#taken(data.length);
    return data;
  }

  async #write(stream: OutputStream, data: Buffer): Promise<void> {
    if (data.length === 0) return;
    while (this.#outstanding >= OUTPUT_WINDOW && !this.#abort.signal.aborted)
      await new Promise<void>((resolve) => {
        this.#full = resolve;
      });
    if (this.#abort.signal.aborted) return;
    this.#outstanding += data.length;
    if (this.#handler === null) this.#early.push([stream, data]);
    else this.#handler(stream, data);
  }
}
