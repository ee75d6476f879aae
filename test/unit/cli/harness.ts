import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Io } from '../../../cli/io.ts';
import { main } from '../../../cli/main.ts';
import type { Fetch } from '../../../core/client/index.ts';

export class Text {
  readonly isTTY: boolean;
  readonly columns: number;
  text = '';
  constructor(columns?: number) {
    this.isTTY = columns !== undefined;
    this.columns = columns ?? 0;
  }
  write(piece: string | Uint8Array): boolean {
    this.text += typeof piece === 'string' ? piece : Buffer.from(piece).toString();
    return true;
  }
}

export interface RunOptions {
  readonly fetch?: Fetch;
  readonly env?: Record<string, string>;
  readonly stdin?: string;
  /** Width of the terminal. Omitted: stdout and stderr are not terminals. */
  readonly columns?: number;
  readonly home?: string;
  readonly cwd?: string;
  readonly userId?: number;
  readonly signal?: AbortSignal;
  readonly connect?: Io['connect'];
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'bulkhead-cli-'));

/** Runs one command line. It uses only temporary folders of this machine. */
export const run = async (words: readonly string[], options: RunOptions = {}) => {
  const stdout = new Text(options.columns);
  const stderr = new Text(options.columns);
  const exitCode = await main(words, {
    stdout,
    stderr,
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    env: options.env ?? { BULKHEAD_API_URL: 'https://api.example.com', BULKHEAD_TOKEN: 'secret' },
    cwd: options.cwd ?? temporaryFolder(),
    home: options.home ?? temporaryFolder(),
    userId: options.userId ?? process.getuid?.(),
    fetch: options.fetch ?? (() => Promise.reject(new TypeError('no network in this test'))),
    connect:
      options.connect ??
      (() => {
        throw new TypeError('no sessions in this test');
      }),
    interrupted: options.signal ?? new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
};
