import type { Socket } from 'node:net';
import { type Cancel, type Clock, nothingToCancel } from '../../../clock.ts';
import { printable } from './guest-text.ts';

const KEPT_BYTES = 8 * 1024;
const SHOWN_LINES = 12;
/** Number of pieces that are read without a pause. A boot or a panic needs fewer, even if each byte arrives alone. */
const FREE_PIECES = 4_096;
/** After that, output is read once per pause, and at most this many pieces each time. */
const PAUSE_MS = 100;
const PIECES_A_PAUSE = 8;

/**
 * The end of the console output of a VM's kernel while this process was connected. A kernel may flood the console byte
 * by byte, and reading one byte costs as much as reading thousands. So after many pieces, output is read with pauses,
 * in which it accumulates to larger pieces.
 */
export class ConsoleTail {
  #text = Buffer.alloc(0);
  #free = FREE_PIECES;
  #cancel: Cancel = nothingToCancel;
  readonly #socket: Socket;

  constructor(socket: Socket, clock: Pick<Clock, 'after'>) {
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => {
      this.#text = Buffer.concat([this.#text, piece]).subarray(-KEPT_BYTES);
      this.#free -= 1;
      if (this.#free > 0) return;
      socket.pause();
      this.#cancel();
      this.#cancel = clock.after(PAUSE_MS, () => {
        this.#free = PIECES_A_PAUSE;
        socket.resume();
      });
    });
    socket.on('error', () => socket.destroy());
  }

  /** The last lines, or the first lines of a panic. Unprintable bytes are removed, because the guest is not trusted. */
  get text(): string {
    const lines = printable(this.#text.toString('latin1')).trim().split('\n');
    const panic = lines.findIndex((line) => line.includes('Kernel panic'));
    return (panic < 0 ? lines.slice(-SHOWN_LINES) : lines.slice(panic, panic + SHOWN_LINES)).join('\n');
  }

  close(): void {
    this.#cancel();
    this.#socket.destroy();
  }
}
