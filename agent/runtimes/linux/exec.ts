import type { GuestProcess } from './channel/guest-process.ts';

/** A process to be run beside a container's main one. */
export interface ExecRequest {
  readonly command: readonly string[];
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly tty?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface ExecOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** More was written than is kept. */
  readonly truncated: boolean;
}

/** What is kept of each of stdout and stderr, in bytes. */
const KEPT_BYTES = 1024 * 1024;

/** Reads a process to its end. Output beyond what is kept is read and dropped. */
export const collectOutcome = async (process: GuestProcess, tty: boolean): Promise<ExecOutcome> => {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const bytes = { stdout: 0, stderr: 0 };
  let truncated = false;
  process.onOutput((source, data) => {
    const room = KEPT_BYTES - bytes[source];
    if (data.length > room) truncated = true;
    if (room > 0) kept[source].push(data.subarray(0, room));
    bytes[source] += data.length;
    process.consumed(data.length);
  });
  // On a terminal an end of input is a key like any other: it would be typed before anybody listens.
  if (!tty) process.endInput();
  const { exitCode } = await process.exited;
  const text = (source: 'stdout' | 'stderr') => Buffer.concat(kept[source]).toString();
  return { exitCode, stdout: text('stdout'), stderr: text('stderr'), truncated };
};
