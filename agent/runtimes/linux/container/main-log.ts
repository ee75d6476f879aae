import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';
import { type Cancel, type Clock, nothingToCancel } from '../../../clock.ts';
import type { OutputSource as Source } from '../channel/guest-process.ts';
import type { GuestMain } from './attach-guest.ts';

/** As the helper's `log.h`: at this size the file is renamed to `<path>.1` and begun anew. */
const LOG_BYTES = 4 * 1024 * 1024;
/** A line that goes on later than this is logged as it stands: the process has paused, and may have asked something. */
export const LOG_PAUSE_MS = 20;
const LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * The log of a utility VM's main process, in the format that the helper writes for process containers:
 * `<RFC 3339 time> <stdout|stderr> <F|P> <text>`. The process is granted more output only once it is written.
 */
export class MainLog {
  readonly #path: string;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #ended = Promise.withResolvers<void>();
  #cancelPause: Cancel = nothingToCancel;
  #stream: WriteStream;
  #written: number;
  /** By how much the log has grown in all. */
  #grown = 0;
  readonly #pending: Record<Source, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(path: string, clock: Pick<Clock, 'now' | 'after'>) {
    this.#path = path;
    this.#clock = clock;
    this.#stream = this.#open();
    this.#written = sizeOf(path);
  }

  follow(main: GuestMain): void {
    const { process } = main;
    process.onOutput((source, data) => {
      main.wrote(source, data);
      const before = this.#grown;
      this.#write(source, data, (grown) => main.consumed(data.length, grown - before));
    });
    const end = () => this.end();
    process.exited.then(end, end);
  }

  /** Resolves once all that the process has said is in the log. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    this.#pause();
    this.#stream.end();
    this.#stream.once('close', () => this.#ended.resolve());
  }

  #pause(): void {
    this.#cancelPause();
    for (const source of ['stdout', 'stderr'] as const) {
      if (this.#pending[source].length > 0) this.#entry(source, 'P', this.#pending[source]);
      this.#pending[source] = Buffer.alloc(0);
    }
  }

  #write(source: Source, data: Buffer, done: (grown: number) => void): void {
    let rest = Buffer.concat([this.#pending[source], data]);
    for (let end = rest.indexOf(NEWLINE); end >= 0 || rest.length > LINE_BYTES; end = rest.indexOf(NEWLINE)) {
      const whole = end >= 0 && end <= LINE_BYTES;
      const length = whole ? end : LINE_BYTES;
      this.#entry(source, whole ? 'F' : 'P', rest.subarray(0, length));
      rest = rest.subarray(whole ? length + 1 : length);
    }
    this.#pending[source] = Buffer.from(rest);
    this.#cancelPause();
    if (this.#pending.stdout.length + this.#pending.stderr.length > 0)
      this.#cancelPause = this.#clock.after(LOG_PAUSE_MS, () => this.#pause());
    const grown = this.#grown;
    this.#stream.write('', () => done(grown));
  }

  #entry(source: Source, kind: 'F' | 'P', text: Buffer): void {
    const head = Buffer.from(`${this.#clock.now().toISOString()} ${source} ${kind} `);
    const entry = Buffer.concat([head, text, Buffer.from('\n')]);
    if (this.#written + entry.length > LOG_BYTES) this.#rotate();
    this.#written += entry.length;
    this.#grown += entry.length;
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
