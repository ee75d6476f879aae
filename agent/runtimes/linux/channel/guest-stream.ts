import type { OutputStream } from '../../../../core/contract/session.ts';
import { SIGNALS } from '../../../../core/contract/session.ts';
import type { Clock } from '../../../clock.ts';
import type { SessionProcess } from '../../session-process.ts';
import { type GuestProcess, startError } from './guest-process.ts';

/** Time between SIGHUP and SIGKILL, in milliseconds. */
const HANGUP_MS = 1_000;

/** Adapts a process on a guest channel, or on this host's relay, to a `SessionProcess`. */
export class GuestStream implements SessionProcess {
  readonly exited: Promise<number>;
  readonly #process: GuestProcess;
  readonly #clock: Clock;
  #over = false;
  #ended = false;

  constructor(process: GuestProcess, clock: Clock) {
    this.#process = process;
    this.#clock = clock;
    this.exited = process.exited.then(({ exitCode }) => exitCode);
    const over = () => {
      this.#over = true;
    };
    this.exited.then(over, over);
  }

  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void {
    this.#process.onOutput(handler);
  }

  consumed(bytes: number): void {
    this.#process.consumed(bytes);
  }

  write(data: Buffer): void {
    this.#process.write(data);
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#process.onInputSent(listener);
  }

  endInput(): void {
    this.#process.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#process.resize(columns, rows);
  }

  signal(signal: number): void {
    this.#process.kill(signal);
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    this.#process.kill(SIGNALS.HUP);
    this.#clock.after(HANGUP_MS, () => {
      if (!this.#over) this.#process.kill(SIGNALS.KILL);
    });
  }
}

/** @throws {RuntimeError} `program-not-found`, `program-not-executable` or `step-failed` if the process cannot be started */
export const openGuestStream = async (process: GuestProcess, clock: Clock): Promise<GuestStream> => {
  await process.started.catch((error: unknown) => {
    throw startError(error);
  });
  return new GuestStream(process, clock);
};
