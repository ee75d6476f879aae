import type { RestartPolicy } from '../../core/contract/primitives.ts';

interface EndedRun {
  /** Null if unknown, e.g. after a power loss, which counts as a failure. */
  readonly exitCode: number | null;
  /** How long it ran, in milliseconds. */
  readonly ranForMs: number;
  /** Restarts since the last start by a command. */
  readonly restartCount: number;
  /** The wait before the last restart, in milliseconds; 0 if there was none. */
  readonly backoffMs: number;
}

/** Docker's values: 100 ms, doubled with each restart up to a minute; reset after a run of ten seconds. */
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 60_000;
const LONG_RUN_MS = 10_000;

/** Whether a container restarts after its main process exited on its own, and after how many milliseconds. */
export const decideRestart = (policy: RestartPolicy, ended: EndedRun): { delayMs: number } | null => {
  if (policy.name === 'no') return null;
  if (policy.name === 'on-failure' && ended.exitCode === 0) return null;
  const mostRetries = policy.name === 'on-failure' ? policy.maxRetries : undefined;
  if (mostRetries !== undefined && ended.restartCount >= mostRetries) return null;
  const resets = ended.backoffMs === 0 || ended.ranForMs >= LONG_RUN_MS;
  return { delayMs: resets ? FIRST_BACKOFF_MS : Math.min(ended.backoffMs * 2, LONGEST_BACKOFF_MS) };
};
