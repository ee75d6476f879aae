import type { SessionProcess } from '../../session-process.ts';

/** An attached main process that can be paused until the reader of its log has caught up. */
export interface PacedProcess extends SessionProcess {
  /**
   * Pauses the process while its log is `PACE_BYTES` ahead of the reader. The process is not paused before the first call.
   * @param bytes of the log that the reader has consumed since the last call; undefined if it has consumed all of it
   */
  pace(bytes?: number): void;
}

/**
 * The same value as in the helper's `attach.h`. Including output in transit, it is less than the log keeps after a rotation.
 */
export const PACE_BYTES = 1024 * 1024;

/** Maximum unconsumed output. Beyond it an attachment stops reading. */
export const OUTPUT_WINDOW_BYTES = 256 * 1024;

/** Shown to a client in place of output that it did not read in time. */
export const LOST_OUTPUT = Buffer.from('\n[bulkhead: output was lost here, as it was not read in time]\n');
