import type { OutputStream } from '../../../../core/contract/session.ts';
import { SIGNALS } from '../../../../core/contract/session.ts';
import type { Clock } from '../../../clock.ts';
import { messageOf, RuntimeError } from '../../../errors.ts';
import type { SessionProcess } from '../../session-process.ts';
import type { GuestProcess } from './guest-process.ts';

/** Time between SIGHUP and SIGKILL, in milliseconds. */
const HANGUP_MS = 1_000;

/** Adapts a process on a guest channel, or on this host's relay, to a `SessionProcess`. */
export class GuestStream implements SessionProcess {
  readonly exited: Promise<number>;
  readonly #process: GuestProcess;
  readonly #clock: Clock;
  readonly #force: () => void;
  #over = false;
  #ended = false;

  /** @param force kills the process. Default: sends SIGKILL. */
  constructor(process: GuestProcess, clock: Clock, force: () => void = () => process.kill(SIGNALS.KILL)) {
    this.#process = process;
    this.#clock = clock;
    this.#force = force;
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
    if (signal === SIGNALS.KILL) this.#force();
    else this.#process.kill(signal);
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    this.#process.kill(SIGNALS.HUP);
    this.#clock.after(HANGUP_MS, () => {
      if (!this.#over) this.#force();
    });
  }
}

/** @throws {RuntimeError} `step-failed` if the guest cannot start the process */
export const openGuestStream = async (process: GuestProcess, clock: Clock): Promise<GuestStream> => {
  await process.started.catch((error: unknown) => {
    throw new RuntimeError('step-failed', messageOf(error), { cause: error });
  });
  return new GuestStream(process, clock);
};
