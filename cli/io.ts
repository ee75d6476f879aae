import type { Fetch } from '../core/client/index.ts';
import type { Connect } from './session.ts';

/** A stream for text. Only a terminal has a width. */
export interface TextOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

/** The CLI's environment except files and sockets, injected for tests. */
export interface Io {
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly stdin: NodeJS.ReadStream | NodeJS.ReadableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** User id of this process; undefined on a system without user ids. */
  readonly userId: number | undefined;
  readonly fetch: Fetch;
  readonly connect: Connect;
  /** Aborts on Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** Width of the terminal; undefined for a pipe. */
export const widthOf = (output: TextOutput): number | undefined =>
  output.isTTY === true ? (output.columns ?? 80) : undefined;
