/** An append-only log file that is renamed to `<file>.1` at its size limit. Only one process writes it. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Log, LogFields } from './engine.ts';

const defaultLimitBytes = 8 * 1024 * 1024;

export class LogFile {
  readonly #path: string;
  readonly #limitBytes: number;
  #descriptor: number | undefined;
  #size = 0;
  #closed = false;

  constructor(path: string, limitBytes = defaultLimitBytes) {
    this.#path = path;
    this.#limitBytes = limitBytes;
  }

  /** Written before this returns, so that a function's output is not lost if the process is killed next. */
  append(text: string | Uint8Array): void {
    if (this.#closed) return;
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.#open();
    if (this.#size + bytes.length > this.#limitBytes && this.#size > 0) this.#rotate();
    const descriptor = this.#open();
    this.#size += writeSync(descriptor, bytes);
  }

  /** Further lines are dropped. */
  close(): void {
    this.#closed = true;
    this.#release();
  }

  #release(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    if (this.#descriptor === undefined) {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#descriptor = openSync(this.#path, 'a');
      this.#size = fstatSync(this.#descriptor).size;
    }
    return this.#descriptor;
  }

  #rotate(): void {
    this.#release();
    renameSync(this.#path, `${this.#path}.1`);
    this.#size = 0;
  }
}

/** A log with one JSON object per line. */
export const createFileLog = (path: string, clock: Clock): Log & { close(): void } => {
  const file = new LogFile(path);
  const write = (level: string) => (message: string, fields?: LogFields) =>
    file.append(
      `${JSON.stringify({ time: new Date(clock.now()).toISOString(), level, message, ...fields })}\n`,
    );
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    close: () => file.close(),
  };
};
