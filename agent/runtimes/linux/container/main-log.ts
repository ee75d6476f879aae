import { statSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
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
  #file: FileHandle | null = null;
  #written: number;
  /** One write after the other, over a renaming too: who reads on in the new file has all of the old one. */
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

  /** Resolves once all that the process has said is in the log. */
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

  /** The entries that are whole now; what is left of a line waits for its end, and not for long. */
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

  /** One time for all that has come at once. */
  #headsOf(source: Source): Heads {
    const at = this.#clock.now().toISOString();
    return { whole: Buffer.from(`${at} ${source} F `), part: Buffer.from(`${at} ${source} P `) };
  }

  #entry(source: Source, text: Buffer): Buffer {
    return Buffer.concat([this.#headsOf(source).part, text, LINE_END]);
  }

  /** A full disk costs the container its log, not the agent its life: what can't be written is passed over. */
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

const LINE_END = Buffer.from('\n');

/** What comes before the text of an entry: of a whole line or its end, and of a part of one. */
interface Heads {
  readonly whole: Buffer;
  readonly part: Buffer;
}

/**
 * Divides output into entries. Written into one buffer, since a line may have no more than its end: tens of thousands
 * of them come at once, and the agent has others to work for.
 */
const toEntries = (data: Buffer, { whole, part }: Heads): { entries: Buffer; rest: Buffer } => {
  const lines: { readonly head: Buffer; readonly from: number; readonly to: number }[] = [];
  let from = 0;
  let bytes = 0;
  for (;;) {
    const end = data.indexOf(NEWLINE, from);
    if (end < 0 && data.length - from <= LINE_BYTES) break;
    const isWhole = end >= 0 && end - from <= LINE_BYTES;
    const to = isWhole ? end : from + LINE_BYTES;
    lines.push({ head: isWhole ? whole : part, from, to });
    bytes += whole.length + to - from + LINE_END.length;
    from = isWhole ? to + 1 : to;
  }
  const entries = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const line of lines) {
    at += line.head.copy(entries, at);
    at += data.copy(entries, at, line.from, line.to);
    entries[at] = NEWLINE;
    at += 1;
  }
  return { entries, rest: data.subarray(from) };
};

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
