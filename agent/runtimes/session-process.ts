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
 * A process in a container as whoever talks to it sees it: one that was started for that, or the main one.
 *
 * Flow is controlled both ways. Output comes only as long as what came before is said to be `consumed`; input is
 * taken as the process takes it, and the listener hears how much. Nothing that the process does or leaves undone
 * takes more memory than the two windows.
 */
export interface SessionProcess {
  /** Its exit code. Rejects when nobody can tell it, e.g. because its container has ended. */
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
  /** Nobody talks to it any more: ends it, by force if need be. A main process goes on. */
  end(): void;
}
