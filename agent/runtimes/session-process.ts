import type { OutputStream } from '../../core/contract/session.ts';

/** A process to be run beside a container's main one. */
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
 * A process in a container from a client's view: a started process, or the main process.
 *
 * Flow is controlled both ways. Output comes only as long as what came before is said to be `consumed`; input is
 * taken as the process takes it, and the listener hears how much. Nothing that the process does or leaves undone
 * takes more memory than the two windows.
 */
export interface SessionProcess {
  /** Its exit code. Rejects if it is unknown, e.g. because the container has ended. */
  readonly exited: Promise<number>;
  /** Output goes there, beginning with what has come already. To be called once. */
  onOutput(handler: (stream: OutputStream, data: Buffer) => void): void;
  consumed(bytes: number): void;
  /** Takes the data, and hands it on as the process reads. */
  write(data: Buffer): void;
  /** Tells how many bytes of input have gone on their way. To be called once. */
  onInputTaken(listener: (bytes: number) => void): void;
  endInput(): void;
  resize(columns: number, rows: number): void;
  signal(signal: number): void;
  /** Ends the process, by force if needed, because its client is gone. A main process continues. */
  end(): void;
}
