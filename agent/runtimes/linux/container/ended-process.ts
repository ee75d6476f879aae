import type { PacedProcess } from './paced-process.ts';

/** A main process that has ended. It has no output here, and input for it is dropped. */
export class EndedProcess implements PacedProcess {
  readonly exited: Promise<number>;
  #taken: (bytes: number) => void = () => undefined;

  constructor(exitCode: number) {
    this.exited = Promise.resolve(exitCode);
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#taken = listener;
  }

  write(data: Buffer): void {
    this.#taken(data.length);
  }

  onOutput(): void {}
  consumed(): void {}
  endInput(): void {}
  resize(): void {}
  signal(): void {}
  pace(): void {}
  end(): void {}
}
