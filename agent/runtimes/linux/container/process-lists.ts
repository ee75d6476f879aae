import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Process } from '../../../../core/contract/compute-process.ts';
import { commandLineOf, listPids, readStat } from '../proc.ts';

const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** Indexes of the fields after the name in /proc/<pid>/stat. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const START_TICKS = 19;
const RESIDENT_PAGES = 21;

/** Limits for one command line and for all in a list. Beyond the second, processes are listed without a command line. */
const COMMAND_LINE_BYTES = 4_096;
const LIST_COMMAND_LINE_BYTES = 1024 * 1024;
/** Limited because a container controls the names of its users. */
const USER_NAME_LENGTH = 256;
/** From the year 10000 on, dates have another form. */
const LATEST_MS = Date.UTC(10_000, 0);
/** Number of processes to read before the agent's other work can run. */
const PROCESSES_A_TURN = 64;

interface Status {
  readonly uid: number;
  /** The pid in the innermost pid namespace. */
  readonly innerPid: number;
}

const readStatus = (pid: number): Status | null => {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    return {
      uid: Number(/^Uid:\t(\d+)/m.exec(text)?.[1]),
      innerPid: Number(/^NSpid:.*\t(\d+)$/m.exec(text)?.[1]),
    };
  } catch {
    return null;
  }
};

const uptimeSeconds = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

export interface ListingContext {
  readonly now: Date;
  readonly userNames: ReadonlyMap<number, string>;
  /** The id on this machine of the id 0 in `userNames`. Default: 0. */
  readonly rootId?: number;
}

/** `uid → name` of a file in the format of /etc/passwd. */
export const parseUserNames = (passwd: string): ReadonlyMap<number, string> =>
  new Map(
    passwd
      .split('\n')
      .map((line) => line.split(':'))
      .filter((fields) => fields.length > 2 && fields[0] !== '')
      .map(([name = '', , uid]) => [Number(uid), name]),
  );

interface Described {
  readonly process: Process;
  readonly innerPid: number;
}

/** Describes a process of this machine; null if it has ended. */
const describe = (
  pid: number,
  { now, userNames, rootId = 0 }: ListingContext,
  uptime: number,
  commandLineBytes: number,
): Described | null => {
  const stat = readStat(pid);
  const status = readStatus(pid);
  if (stat === null || status === null) return null;
  const field = (index: number) => Number(stat.fields[index] ?? 0);
  const uid = status.uid - rootId;
  const ageSeconds = uptime - field(START_TICKS) / TICKS_PER_SECOND;
  const process = {
    pid,
    name: stat.name,
    userName: (userNames.get(uid) ?? String(uid)).slice(0, USER_NAME_LENGTH),
    commandLine: commandLineBytes > 0 ? commandLineOf(pid, commandLineBytes).join(' ') : '',
    cpuSeconds: (field(USER_TICKS) + field(SYSTEM_TICKS)) / TICKS_PER_SECOND,
    workingSetBytes: field(RESIDENT_PAGES) * PAGE_BYTES,
    startedAt: new Date(now.getTime() - ageSeconds * 1000).toISOString(),
  };
  return { process, innerPid: status.innerPid };
};

/** Describes processes within the limits of a list, and yields to the agent's other work regularly. */
const describeAll = async (
  pids: readonly number[],
  isWanted: (pid: number) => boolean,
  context: ListingContext,
): Promise<Described[]> => {
  const uptime = uptimeSeconds();
  const described: Described[] = [];
  let room = LIST_COMMAND_LINE_BYTES;
  for (const [index, pid] of pids.entries()) {
    if (index % PROCESSES_A_TURN === PROCESSES_A_TURN - 1) await setImmediate();
    const one = isWanted(pid) ? describe(pid, context, uptime, Math.min(room, COMMAND_LINE_BYTES)) : null;
    if (one === null) continue;
    room -= one.process.commandLine.length;
    described.push(one);
  }
  return described;
};

/** Lists all processes of this machine, as `ps` does, or only the given ones. */
export const listMachineProcesses = async (
  context: ListingContext,
  isWanted: (pid: number) => boolean = () => true,
): Promise<Process[]> => (await describeAll(listPids(), isWanted, context)).map(({ process }) => process);

/** Lists the processes in the pid namespace of `mainPid`, with their pids in that namespace. */
export const listNamespaceProcesses = async (
  mainPid: number,
  namespaceOf: (pid: number) => string | null,
  context: ListingContext,
): Promise<Process[]> => {
  const wanted = namespaceOf(mainPid);
  if (wanted === null) return [];
  const all = await describeAll(listPids(), (pid) => namespaceOf(pid) === wanted, context);
  return all.map(({ process, innerPid }) => ({ ...process, pid: innerPid, hostPid: process.pid }));
};

/** Ticks since boot, bytes and pids are whole numbers that are exact in JSON. */
const isCount = (number: number): boolean => Number.isSafeInteger(number) && number >= 0;

/** The date `seconds` ago; null if it cannot be represented. */
const secondsAgo = (now: Date, seconds: number): string | null => {
  const at = new Date(now.getTime() - seconds * 1000);
  return at.getTime() >= 0 && at.getTime() < LATEST_MS ? at.toISOString() : null;
};

/**
 * Parses a guest's answer to `processes` (see `agent/guest/processes.h`). The guest is not trusted: records with values that a
 * kernel cannot have are omitted.
 */
export const parseGuestProcesses = (answer: string, now: Date, guestUptimeSeconds: number): Process[] =>
  answer.split('\0').flatMap((record) => {
    const [pid, name, userName, ticks, pages, started, ...command] = record.split('\t');
    const bytes = Number(pages) * PAGE_BYTES;
    if (command.length === 0 || ![Number(pid), Number(ticks), bytes, Number(started)].every(isCount))
      return [];
    return {
      pid: Number(pid),
      name: name ?? '',
      userName: userName ?? '',
      commandLine: command.join('\t'),
      cpuSeconds: Number(ticks) / TICKS_PER_SECOND,
      workingSetBytes: bytes,
      startedAt: secondsAgo(now, guestUptimeSeconds - Number(started) / TICKS_PER_SECOND),
    };
  });
