import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Process } from '../../../../core/contract/compute-process.ts';
import { commandLineOf, listPids, readStat } from '../proc.ts';

const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** As they count in /proc/<pid>/stat behind the name. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const START_TICKS = 19;
const RESIDENT_PAGES = 21;

/** Of one process's command line, and of a whole list's. Beyond the second, processes are listed without theirs. */
const COMMAND_LINE_BYTES = 4_096;
const LIST_COMMAND_LINE_BYTES = 1024 * 1024;
/** A container writes the names of its users itself. */
const USER_NAME_LENGTH = 256;
/** So many processes are read before other work of the agent gets its turn. */
const PROCESSES_A_TURN = 64;

interface Status {
  readonly uid: number;
  /** Its id in the innermost pid namespace. */
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
  /** Which id of this machine the names' id 0 is. Default: 0. */
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

/** A process of this machine; null when it has ended meanwhile. */
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

/** Describes processes within the bounds of a list, and gives way to the agent's other work now and then. */
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

/** What `ps` on this machine would show; of all processes, or of those that are wanted. */
export const listMachineProcesses = async (
  context: ListingContext,
  isWanted: (pid: number) => boolean = () => true,
): Promise<Process[]> => (await describeAll(listPids(), isWanted, context)).map(({ process }) => process);

/** The processes in the pid namespace of `mainPid`, with the pids they have there. */
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

/** A guest's answer to `processes` (see `agent/guest/processes.h`). What does not fit the format is left out: the guest wrote it. */
export const parseGuestProcesses = (answer: string, now: Date, guestUptimeSeconds: number): Process[] =>
  answer.split('\0').flatMap((record) => {
    const [pid, name, userName, ticks, pages, started, ...command] = record.split('\t');
    const numbers = [pid, ticks, pages, started].map(Number);
    if (command.length === 0 || numbers.some((number) => !Number.isFinite(number))) return [];
    const ageSeconds = guestUptimeSeconds - Number(started) / TICKS_PER_SECOND;
    return {
      pid: Math.trunc(Number(pid)),
      name: name ?? '',
      userName: userName ?? '',
      commandLine: command.join('\t'),
      cpuSeconds: Number(ticks) / TICKS_PER_SECOND,
      workingSetBytes: Number(pages) * PAGE_BYTES,
      startedAt: new Date(now.getTime() - ageSeconds * 1000).toISOString(),
    };
  });
