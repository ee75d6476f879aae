import type { Socket } from 'node:net';

const KEPT_BYTES = 8 * 1024;
const SHOWN_LINES = 12;

/** The end of the console output of a VM's kernel while this process was connected. */
export class ConsoleTail {
  #text = Buffer.alloc(0);
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (piece: Buffer) => {
      this.#text = Buffer.concat([this.#text, piece]).subarray(-KEPT_BYTES);
    });
    socket.on('error', () => socket.destroy());
  }

  /** The last lines, or the first lines of a panic. Without unprintable bytes, because the guest is not trusted. */
  get text(): string {
    const printable = this.#text.toString('latin1').replace(/[^\x20-\x7e\n]/g, '');
    const lines = printable.trim().split('\n');
    const panic = lines.findIndex((line) => line.includes('Kernel panic'));
    return (panic < 0 ? lines.slice(-SHOWN_LINES) : lines.slice(panic, panic + SHOWN_LINES)).join('\n');
  }

  close(): void {
    this.#socket.destroy();
  }
}
