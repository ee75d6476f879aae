import { readFileSync } from 'node:fs';
import type { Process } from '../../../../core/contract/compute-process.ts';
import { commandLineOf, listPids, readStat } from '../proc.ts';

const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** As they count in /proc/<pid>/stat behind the name. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const START_TICKS = 19;
const RESIDENT_PAGES = 21;

const readStatus = (pid: number): ReadonlyMap<string, string> => {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
    return new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
  } catch {
    return new Map();
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

/** A process of this machine; null when it has ended meanwhile. */
const describe = (
  pid: number,
  { now, userNames, rootId = 0 }: ListingContext,
  uptime: number,
): Process | null => {
  const stat = readStat(pid);
  const status = readStatus(pid);
  if (stat === null || status.size === 0) return null;
  const field = (index: number) => Number(stat.fields[index] ?? 0);
  const uid = Number(status.get('Uid')?.split('\t')[0] ?? rootId) - rootId;
  const ageSeconds = uptime - field(START_TICKS) / TICKS_PER_SECOND;
  return {
    pid,
    name: stat.name,
    userName: userNames.get(uid) ?? String(uid),
    commandLine: commandLineOf(pid).join(' '),
    cpuSeconds: (field(USER_TICKS) + field(SYSTEM_TICKS)) / TICKS_PER_SECOND,
    workingSetBytes: field(RESIDENT_PAGES) * PAGE_BYTES,
    startedAt: new Date(now.getTime() - ageSeconds * 1000).toISOString(),
  };
};

/** What `ps` on this machine would show. */
export const listMachineProcesses = (context: ListingContext): Process[] => {
  const uptime = uptimeSeconds();
  return listPids().flatMap((pid) => describe(pid, context, uptime) ?? []);
};

/** The processes in the pid namespace of `mainPid`, with the pids they have there. */
export const listNamespaceProcesses = (
  mainPid: number,
  namespaceOf: (pid: number) => string | null,
  context: ListingContext,
): Process[] => {
  const wanted = namespaceOf(mainPid);
  const uptime = uptimeSeconds();
  return listPids()
    .filter((pid) => wanted !== null && namespaceOf(pid) === wanted)
    .flatMap((hostPid) => {
      const process = describe(hostPid, context, uptime);
      const inside = readStatus(hostPid).get('NSpid')?.split('\t').at(-1);
      return process === null || inside === undefined ? [] : { ...process, pid: Number(inside), hostPid };
    });
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
