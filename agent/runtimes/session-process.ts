import type { OutputStream } from '../../core/contract/session.ts';

/** A process to run in a container in addition to its main process. */
export interface ExecRequest {
  readonly command: readonly string[];
  readonly user?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly workingDir?: string | undefined;
  readonly tty?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/**
 * A process in a container as a client sees it: a started process, or the main process.
 *
 * Both directions have flow control. New output arrives only after earlier output is reported as `consumed`. Input is passed
 * on as the process reads it, and the listener receives the number of bytes. Memory is bounded by the two windows, whatever
 * the process does.
 */
export interface SessionProcess {
  /** The exit code. Rejects if it is unknown, for example because the container has ended. */
  readonly exited: Promise<number>;
  /** Sets the handler for output, which first receives the output so far. Must be called once. */
  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void;
  consumed(bytes: number): void;
  /** Queues input, which is passed on as the process reads. */
  write(data: Buffer): void;
  /** Sets the listener for the number of input bytes that were passed on. Must be called once. */
  onInputTaken(listener: (bytes: number) => void): void;
  endInput(): void;
  resize(columns: number, rows: number): void;
  signal(signal: number): void;
  /** Ends the process, by SIGKILL if needed, because its client is gone. A main process continues. */
  end(): void;
}
