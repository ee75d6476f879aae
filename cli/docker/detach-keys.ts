import { DockerError } from './errors.ts';

/** Docker's default: ctrl-p, ctrl-q. */
const DEFAULT = 'ctrl-p,ctrl-q';
const CONTROL = '@abcdefghijklmnopqrstuvwxyz[\\]^_';

/** @param text keys as in `--detach-keys`: characters and `ctrl-<key>`, separated by commas; empty: the default */
const parseDetachKeys = (text: string): Buffer =>
  Buffer.from(
    (text === '' ? DEFAULT : text).split(',').map((key) => {
      const control = /^ctrl-(.)$/i.exec(key)?.[1]?.toLowerCase();
      const code = control === undefined ? -1 : CONTROL.indexOf(control);
      if (code >= 0) return code;
      if (key.length === 1 && control === undefined) return key.charCodeAt(0);
      throw new DockerError(400, `Invalid detach keys (${text}): unknown character: '${key}'`);
    }),
  );

/** Finds the keys in a client's input. They can arrive in pieces, so bytes that may begin them are kept back. */
export class DetachKeys {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(text: string) {
    this.#keys = parseDetachKeys(text);
  }

  /** Whether the input has contained the keys. */
  get found(): boolean {
    return this.#matched === this.#keys.length;
  }

  /** @returns the input to pass on */
  take(chunk: Buffer): Buffer {
    const passed: number[] = [];
    for (const byte of chunk) {
      if (this.found) break;
      if (byte !== this.#keys[this.#matched]) {
        passed.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) this.#matched += 1;
      else passed.push(byte);
    }
    return Buffer.from(passed);
  }
}
