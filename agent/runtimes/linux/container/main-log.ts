import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';
import type { Clock } from '../../../clock.ts';
import type { OutputSource as Source } from '../channel/guest-process.ts';
import type { GuestMain } from './attach-guest.ts';

/** As the helper's `log.h`: at this size the file is renamed to `<path>.1` and begun anew. */
const LOG_BYTES = 4 * 1024 * 1024;
const LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * The log of a utility VM's main process, in the format that the helper writes for process containers:
 * `<RFC 3339 time> <stdout|stderr> <F|P> <text>`. The process is granted more output only once it is written.
 */
export class MainLog {
  readonly #path: string;
  readonly #clock: Pick<Clock, 'now'>;
  #stream: WriteStream;
  #written: number;
  readonly #pending: Record<Source, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(path: string, clock: Pick<Clock, 'now'>) {
    this.#path = path;
    this.#clock = clock;
    this.#stream = this.#open();
    this.#written = sizeOf(path);
  }

  follow(main: GuestMain): void {
    const { process } = main;
    process.onOutput((source, data) => {
      main.wrote(source, data);
      this.#write(source, data, () => process.consumed(data.length));
    });
    const end = () => this.end();
    process.exited.then(end, end);
  }

  end(): void {
    for (const source of ['stdout', 'stderr'] as const) {
      if (this.#pending[source].length > 0) this.#entry(source, 'P', this.#pending[source]);
      this.#pending[source] = Buffer.alloc(0);
    }
    this.#stream.end();
  }

  #write(source: Source, data: Buffer, done: () => void): void {
    let rest = Buffer.concat([this.#pending[source], data]);
    for (let end = rest.indexOf(NEWLINE); end >= 0 || rest.length > LINE_BYTES; end = rest.indexOf(NEWLINE)) {
      const whole = end >= 0 && end <= LINE_BYTES;
      const length = whole ? end : LINE_BYTES;
      this.#entry(source, whole ? 'F' : 'P', rest.subarray(0, length));
      rest = rest.subarray(whole ? length + 1 : length);
    }
    this.#pending[source] = Buffer.from(rest);
    this.#stream.write('', done);
  }

  #entry(source: Source, kind: 'F' | 'P', text: Buffer): void {
    const head = Buffer.from(`${this.#clock.now().toISOString()} ${source} ${kind} `);
    const entry = Buffer.concat([head, text, Buffer.from('\n')]);
    if (this.#written + entry.length > LOG_BYTES) this.#rotate();
    this.#written += entry.length;
    this.#stream.write(entry);
  }

  #rotate(): void {
    this.#stream.end();
    renameSync(this.#path, `${this.#path}.1`);
    this.#stream = this.#open();
    this.#written = 0;
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a', mode: 0o600 });
    // A full disk costs the container its log, not the agent its life.
    stream.on('error', () => {});
    return stream;
  }
}

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
