import type { OutputStream } from '../../../../core/contract/session.ts';
import type { Clock } from '../../../clock.ts';
import type { GuestProcess } from '../channel/guest-process.ts';
import { LOST_OUTPUT, PACE_BYTES, type PacedProcess } from './paced-process.ts';

const RECENT_BYTES = 64 * 1024;
/** Small pieces of one stream are merged, and their number is limited, because single bytes have a large overhead. */
const RECENT_PIECE_BYTES = 1024;
const RECENT_PIECES = 1024;
/** Maximum unread output of an attached client. The client loses output beyond it, so that the process does not wait. */
const UNREAD_BYTES = 256 * 1024;

type Handler = (stream: OutputStream, data: Buffer) => void;

/** The same values as in the helper's `attach.h`. A new process waits for a client that is about to attach. */
const FIRST_PACE_BYTES = 512 * 1024;
const FIRST_PACE_MS = 2_000;

/**
 * The main process of a utility VM, shared by its log and attached clients. The log paces the process, and so do attached
 * clients that request it. Any other slow client loses output and is notified.
 */
export class GuestMain {
  readonly #process: GuestProcess;
  readonly #clients = new Set<GuestAttachment>();
  readonly #recent: [OutputStream, Buffer][] = [];
  #recentBytes = 0;
  /** The clients whose input waits in the process's queue, in order. */
  readonly #input: { readonly by: GuestAttachment; left: number }[] = [];

  /** Bytes of logged output that the process has not received credit for yet. */
  #owed = 0;
  /** Bytes that the log can grow before the first client attaches; null: no limit. */
  #first: number | null = null;
  #released = false;

  /** @param clock given for a new process, which then waits for a short time for its first client */
  constructor(process: GuestProcess, clock?: Pick<Clock, 'after'>) {
    this.#process = process;
    process.onInputSent((bytes) => this.#sent(bytes));
    if (clock === undefined) return;
    this.#first = FIRST_PACE_BYTES;
    clock.after(FIRST_PACE_MS, () => {
      this.#first = null;
      this.#grant();
    });
  }

  get process(): GuestProcess {
    return this.#process;
  }

  /** Must be called with all output of the process. */
  wrote(stream: OutputStream, data: Buffer): void {
    this.#remember(stream, data);
    for (const client of this.#clients) client.give(stream, data);
  }

  #remember(stream: OutputStream, data: Buffer): void {
    const last = this.#recent.at(-1);
    if (last?.[0] === stream && last[1].length + data.length <= RECENT_PIECE_BYTES)
      this.#recent[this.#recent.length - 1] = [stream, Buffer.concat([last[1], data])];
    else this.#recent.push([stream, data]);
    this.#recentBytes += data.length;
    const isFull = () => this.#recentBytes > RECENT_BYTES || this.#recent.length > RECENT_PIECES;
    while (isFull() && this.#recent.length > 1) this.#recentBytes -= this.#recent.shift()?.[1].length ?? 0;
  }

  /** Must be called when the log has grown by `logged` bytes. The process gets credit, unless it waits for a client. */
  consumed(bytes: number, logged: number): void {
    this.#owed += bytes;
    if (this.#first !== null) this.#first -= logged;
    for (const client of this.#clients) client.logged(logged);
    this.#grant();
  }

  /** Must be called when the process must end. It then waits for no client. */
  release(): void {
    this.#released = true;
    this.#grant();
  }

  paced(): void {
    this.#first = null;
    this.#grant();
  }

  #grant(): void {
    const waits = (this.#first !== null && this.#first <= 0) || [...this.#clients].some((one) => one.holds);
    if (this.#owed === 0 || (waits && !this.#released)) return;
    const owed = this.#owed;
    this.#owed = 0;
    this.#process.consumed(owed);
  }

  /** @param logs whether output begins with the recent output */
  attach(logs: boolean): PacedProcess {
    const client = new GuestAttachment(this, logs ? [...this.#recent] : []);
    this.#clients.add(client);
    return client;
  }

  leave(client: GuestAttachment): void {
    this.#clients.delete(client);
    this.#grant();
  }

  write(by: GuestAttachment, data: Buffer): boolean {
    const entry = { by, left: data.length };
    this.#input.push(entry);
    if (this.#process.write(data)) return true;
    this.#input.splice(this.#input.indexOf(entry), 1);
    return false;
  }

  #sent(bytes: number): void {
    for (let left = bytes; left > 0 && this.#input.length > 0; ) {
      const [first] = this.#input;
      if (first === undefined) return;
      const part = Math.min(left, first.left);
      first.left -= part;
      left -= part;
      if (first.left === 0) this.#input.shift();
      first.by.taken(part);
    }
  }
}

class GuestAttachment implements PacedProcess {
  readonly exited: Promise<number>;
  readonly #main: GuestMain;
  #waiting: [OutputStream, Buffer][];
  #handler: Handler | null = null;
  #taken: (bytes: number) => void = () => undefined;
  #outstanding = 0;
  #lost = false;
  /** Bytes that the log can still grow; null: no limit. */
  #credit: number | null = null;

  constructor(main: GuestMain, begin: [OutputStream, Buffer][]) {
    this.#main = main;
    this.#waiting = begin;
    this.exited = main.process.exited.then(({ exitCode }) => exitCode);
    this.exited.catch(() => undefined);
  }

  give(stream: OutputStream, data: Buffer): void {
    if (this.#handler === null) this.#waiting.push([stream, data]);
    else if (this.#outstanding + data.length > UNREAD_BYTES) this.#lost = true;
    else {
      this.#outstanding += data.length;
      this.#handler(stream, data);
    }
  }

  get holds(): boolean {
    return this.#credit !== null && this.#credit <= 0;
  }

  logged(bytes: number): void {
    if (this.#credit !== null) this.#credit -= bytes;
  }

  pace(bytes?: number): void {
    this.#credit = bytes === undefined ? PACE_BYTES : (this.#credit ?? 0) + bytes;
    this.#main.paced();
  }

  taken(bytes: number): void {
    this.#taken(bytes);
  }

  onOutput(handler: Handler): void {
    this.#handler = handler;
    for (const [stream, data] of this.#waiting.splice(0)) this.give(stream, data);
  }

  consumed(bytes: number): void {
    this.#outstanding -= bytes;
    if (!this.#lost || this.#outstanding > UNREAD_BYTES / 2) return;
    this.#lost = false;
    this.give('stderr', LOST_OUTPUT);
  }

  write(data: Buffer): void {
    // Several clients together can fill the queue. Input that does not fit is dropped.
    if (!this.#main.write(this, data)) this.#taken(data.length);
  }

  onInputTaken(listener: (bytes: number) => void): void {
    this.#taken = listener;
  }

  endInput(): void {
    this.#main.process.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#main.process.resize(columns, rows);
  }

  signal(signal: number): void {
    this.#main.process.kill(signal);
  }

  end(): void {
    this.#main.leave(this);
  }
}
