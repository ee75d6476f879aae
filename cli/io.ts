import type { Fetch } from '../core/client/index.ts';
import type { Connect } from './session.ts';

/** A stream that text is written to; a terminal says how wide it is. */
export interface TextOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

/** Everything outside of the CLI that it touches, but files and sockets; passed in, so that a test can stand for it. */
export interface Io {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly stdin: NodeJS.ReadStream | NodeJS.ReadableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** Of this process; undefined on a system without such ids. */
  readonly userId: number | undefined;
  readonly fetch: Fetch;
  readonly connect: Connect;
  /** Aborts when the user wants to end it (Ctrl-C). */
  readonly interrupted: AbortSignal;
}

/** How much fits on a line; undefined where nobody looks: a pipe takes everything. */
export const widthOf = (output: TextOutput): number | undefined =>
  output.isTTY === true ? (output.columns ?? 80) : undefined;
