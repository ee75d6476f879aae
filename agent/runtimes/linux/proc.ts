import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setPriority } from 'node:os';

/** A process. Its start time distinguishes it from a later process with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and start: field 22 of /proc/<pid>/stat. */
  readonly startTicks: number;
}

const PARENT_FIELD = 1;
const USER_TICKS_FIELD = 11;
const SYSTEM_TICKS_FIELD = 12;
const START_TICKS_FIELD = 19;
/** The kernel counts in hundredths of a second for programs, on every machine of this architecture. */
const MS_PER_TICK = 10;

/** The fields of /proc/<pid>/stat after the name, which can contain spaces and parentheses. */
export const readStat = (pid: number): { name: string; fields: readonly string[] } | null => {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = line.lastIndexOf(')');
    return {
      name: line.slice(line.indexOf('(') + 1, end),
      fields: line
        .slice(end + 2)
        .trim()
        .split(' '),
    };
  } catch {
    return null;
  }
};

export const identify = (pid: number): ProcessIdentity | null => {
  const stat = readStat(pid);
  return stat === null ? null : { pid, startTicks: Number(stat.fields[START_TICKS_FIELD]) };
};

/** Processor time that a process has used, in milliseconds; null if it has ended. */
export const cpuMsOf = ({ pid, startTicks }: ProcessIdentity): number | null => {
  const fields = readStat(pid)?.fields ?? [];
  if (Number(fields[START_TICKS_FIELD]) !== startTicks) return null;
  return (Number(fields[USER_TICKS_FIELD]) + Number(fields[SYSTEM_TICKS_FIELD])) * MS_PER_TICK;
};

export const parentOf = (pid: number): number | null => {
  const parent = readStat(pid)?.fields[PARENT_FIELD];
  return parent === undefined ? null : Number(parent);
};

/** Whether this process exists and is not a zombie. */
export const isAlive = ({ pid, startTicks }: ProcessIdentity): boolean => {
  const stat = readStat(pid);
  return (
    stat !== null &&
    Number(stat.fields[START_TICKS_FIELD]) === startTicks &&
    !'ZX'.includes(stat.fields[0] ?? 'X')
  );
};

/**
 * Whether a process still has open files. The main thread of a killed process can end before its other threads, which share its
 * files and sockets.
 */
export const holdsFiles = (identity: ProcessIdentity): boolean => {
  if (isAlive(identity)) return true;
  try {
    return (
      identify(identity.pid)?.startTicks === identity.startTicks &&
      readdirSync(`/proc/${identity.pid}/task`).length > 1
    );
  } catch {
    return false;
  }
};

/** Kills this process only. Has no effect if it has ended, even if its pid is reused. */
export const killProcess = (identity: ProcessIdentity, signal: NodeJS.Signals | number = 'SIGKILL'): void => {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

export const listPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

const COMMAND_LINE_BYTES = 64 * 1024;
const commandLine = Buffer.alloc(COMMAND_LINE_BYTES);

/**
 * The arguments of a process, limited to `bytes`. The limit is needed because a process controls its command line, and a
 * container can cheaply start thousands of processes with a long one.
 */
export const commandLineOf = (pid: number, bytes = COMMAND_LINE_BYTES): readonly string[] => {
  let file: number | null = null;
  try {
    file = openSync(`/proc/${pid}/cmdline`, 'r');
    const length = readSync(file, commandLine, 0, Math.min(bytes, COMMAND_LINE_BYTES), 0);
    const text = commandLine.toString('latin1', 0, length);
    return text === '' ? [] : text.replace(/\0$/, '').split('\0');
  } catch {
    return [];
  } finally {
    if (file !== null) closeSync(file);
  }
};

/** Sets the priority of all threads of a process, because Linux has one per thread. */
export const setProcessPriority = (pid: number, nice: number): void => {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), nice);
  } catch {
    // The thread has ended.
  }
};

/** The current mount points. */
export const readMountPoints = async (): Promise<ReadonlySet<string>> =>
  new Set((await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? ''));
