import type { OutputStream } from '../../core/contract/session.ts';
import type { SessionProcess } from '../runtimes/session-process.ts';

type Size = readonly [columns: number, rows: number];

/**
 * The main process of a container that has not been started. What the client sends is kept until the start: the window of the
 * session bounds its input. Signals before the start have no effect.
 */
export class LateMain implements SessionProcess {
  readonly exited: Promise<number>;
  readonly #exit = Promise.withResolvers<number>();
  readonly #onEnd: () => void;
  #main: SessionProcess | null = null;
  #onOutput: ((stream: OutputStream, data: Buffer) => void) | null = null;
  #onInputTaken: ((bytes: number) => void) | null = null;
  readonly #input: Buffer[] = [];
  #inputEnded = false;
  #size: Size | null = null;
  #isEnded = false;

  /** @param onEnd called when the client is gone */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    this.exited = this.#exit.promise;
    this.exited.catch(() => undefined);
  }

  /** Connects the client with the started process. */
  begin(main: SessionProcess): void {
    if (this.#isEnded) {
      main.end();
      return;
    }
    this.#main = main;
    main.exited.then(this.#exit.resolve, this.#exit.reject);
    if (this.#onInputTaken !== null) main.onInputTaken(this.#onInputTaken);
    if (this.#size !== null) main.resize(...this.#size);
    for (const data of this.#input.splice(0)) main.write(data);
    if (this.#inputEnded) main.endInput();
    if (this.#onOutput !== null) main.onOutput(this.#onOutput);
  }

  /** The start cannot be awaited any longer. */
  fail(error: unknown): void {
    this.#exit.reject(error);
  }

  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void {
    this.#onOutput = handler;
    this.#main?.onOutput(handler);
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#onInputTaken = listener;
    this.#main?.onInputTaken(listener);
  }

  consumed(bytes: number): void {
    this.#main?.consumed(bytes);
  }

  write(data: Buffer): void {
    if (this.#main === null) this.#input.push(data);
    else this.#main.write(data);
  }

  endInput(): void {
    this.#inputEnded = true;
    this.#main?.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#size = [columns, rows];
    this.#main?.resize(columns, rows);
  }

  signal(signal: number): void {
    this.#main?.signal(signal);
  }

  end(): void {
    this.#isEnded = true;
    this.#onEnd();
    this.#main?.end();
  }
}
