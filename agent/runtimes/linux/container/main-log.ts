import { statSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { type Cancel, type Clock, nothingToCancel } from '../../../clock.ts';
import type { OutputSource as Source } from '../channel/guest-process.ts';
import type { GuestMain } from './guest-main.ts';
import { entryHeads, LINE_END, LOG_PAUSE_MS, toEntries } from './log-entries.ts';

/** The same value as in the helper's `log.h`. At this size the file is renamed to `<path>.1` and a new file is started. */
const LOG_BYTES = 4 * 1024 * 1024;

/**
 * The log of a utility VM's main process, in the same format as the helper writes for process containers:
 * `<RFC 3339 time> <stdout|stderr> <F|P> <text>`. The process gets credit for more output only after a write completes.
 */
export class MainLog {
  readonly #path: string;
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #ended = Promise.withResolvers<void>();
  #cancelPause: Cancel = nothingToCancel;
  #file: FileHandle | null = null;
  #written: number;
  /** Writes run one after the other, even across a rotation. When the new file has data, the old one is complete. */
  #writes: Promise<void> = Promise.resolve();
  readonly #pending: Record<Source, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(path: string, clock: Pick<Clock, 'now' | 'after'>) {
    this.#path = path;
    this.#clock = clock;
    this.#written = sizeOf(path);
  }

  follow(main: GuestMain): void {
    const { process } = main;
    process.onOutput((source, data) => {
      main.wrote(source, data);
      const entries = this.#take(source, data);
      this.#append(entries).then(() => main.consumed(data.length, entries.length));
    });
    const end = () => this.end();
    process.exited.then(end, end);
  }

  /** Resolves once all output of the process is in the log. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    this.#pause();
    this.#writes = this.#writes.then(async () => {
      await this.#file?.close().catch(() => undefined);
      this.#ended.resolve();
    });
  }

  #pause(): void {
    this.#cancelPause();
    const entries: Buffer[] = [];
    for (const source of ['stdout', 'stderr'] as const) {
      if (this.#pending[source].length > 0) entries.push(this.#entry(source, this.#pending[source]));
      this.#pending[source] = Buffer.alloc(0);
    }
    if (entries.length > 0) void this.#append(Buffer.concat(entries));
  }

  /** Returns the complete entries. The rest of a line waits for its end, but only for a short time. */
  #take(source: Source, data: Buffer): Buffer {
    const before = this.#pending[source];
    const all = before.length === 0 ? data : Buffer.concat([before, data]);
    const { entries, rest } = toEntries(all, this.#headsOf(source));
    this.#pending[source] = Buffer.from(rest);
    this.#cancelPause();
    if (this.#pending.stdout.length + this.#pending.stderr.length > 0)
      this.#cancelPause = this.#clock.after(LOG_PAUSE_MS, () => this.#pause());
    return entries;
  }

  /** One timestamp for all output that arrived together. */
  #headsOf(source: Source) {
    return entryHeads(this.#clock.now(), source);
  }

  #entry(source: Source, text: Buffer): Buffer {
    return Buffer.concat([this.#headsOf(source).part, text, LINE_END]);
  }

  /** Output that can't be written is skipped: on a full disk the container loses log entries, but the agent continues. */
  #append(entries: Buffer): Promise<void> {
    this.#writes = this.#writes.then(() => this.#put(entries)).catch(() => undefined);
    return this.#writes;
  }

  async #put(entries: Buffer): Promise<void> {
    if (entries.length === 0) return;
    if (this.#file !== null && this.#written + entries.length > LOG_BYTES) {
      await this.#file.close();
      this.#file = null;
      await rename(this.#path, `${this.#path}.1`);
      this.#written = 0;
    }
    this.#file ??= await open(this.#path, 'a', 0o600);
    await this.#file.appendFile(entries);
    this.#written += entries.length;
  }
}

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
