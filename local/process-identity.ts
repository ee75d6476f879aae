/**
 * Tells a process that still runs from another that was given its id later: by its start time, which Linux keeps
 * in `/proc/<pid>/stat`. On systems without /proc nothing is ever taken for one of ours.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, as text. */
  readonly startTime: string;
  /** Path of the running program. */
  readonly executable: string;
}

/** Position of `starttime` among the fields after the command name (proc(5): field 22 of all). */
const startTimeField = 19;

/** @returns undefined when there is no such process (any more). */
export const identifyProcess = (pid: number): ProcessIdentity | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name may itself hold spaces and parentheses: count from its last closing one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTime = fields[startTimeField];
    const zombie = fields[0] === 'Z';
    if (startTime === undefined || zombie) return undefined;
    return { pid, startTime, executable: readlinkSync(`/proc/${pid}/exe`) };
  } catch {
    return undefined;
  }
};

export const isSameProcess = (recorded: ProcessIdentity): boolean => {
  const now = identifyProcess(recorded.pid);
  return now?.startTime === recorded.startTime && now.executable === recorded.executable;
};
