/**
 * Distinguishes a process from a later one with the same id by its start time in `/proc/<pid>/stat`. On systems without
 * /proc no process is ever considered ours.
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

/** @returns undefined if the process does not exist. */
export const identifyProcess = (pid: number): ProcessIdentity | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name can contain spaces and parentheses, so count from the last closing one.
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
