import type { ExecOutcomeSchema } from '../../core/contract/agent/commands.ts';
import type { OutputStream } from '../../core/contract/session.ts';
import type { Clock } from '../clock.ts';
import type { SessionProcess } from '../runtimes/session-process.ts';

type ExecOutcome = (typeof ExecOutcomeSchema)['_zod']['output'];

/** Exit code of a killed process: 128 + SIGKILL. */
const FORCED = 137;

interface CollectOptions {
  /** Limit for each of stdout and stderr, in bytes. The beginning is kept. */
  readonly keptBytes: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Reads a process's output until it exits, and kills it at its time limit. Output beyond the limit is read and
 * dropped.
 */
export const collectOutput = async (
  process: SessionProcess,
  clock: Clock,
  { keptBytes, timeoutMs, signal }: CollectOptions,
): Promise<ExecOutcome> => {
  const kept: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  const bytes: Record<OutputStream, number> = { stdout: 0, stderr: 0 };
  let truncated = false;
  process.onOutput((stream, data) => {
    const room = keptBytes - bytes[stream];
    if (data.length > room) truncated = true;
    if (room > 0) kept[stream].push(data.subarray(0, room));
    bytes[stream] += data.length;
    process.consumed(data.length);
  });
  process.onInputTaken(() => undefined);
  process.endInput();
  const outOfTime = Promise.withResolvers<null>();
  const cancel = clock.after(timeoutMs, () => outOfTime.resolve(null));
  const aborted = () => outOfTime.reject(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  try {
    const exitCode = await Promise.race([process.exited, outOfTime.promise]);
    const text = (stream: OutputStream) => Buffer.concat(kept[stream]).toString('base64');
    return {
      exitCode: exitCode ?? FORCED,
      stdout: text('stdout'),
      stderr: text('stderr'),
      truncated,
      timedOut: exitCode === null,
    };
  } finally {
    cancel();
    signal.removeEventListener('abort', aborted);
    process.end();
  }
};
