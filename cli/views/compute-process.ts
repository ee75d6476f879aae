import type { ComputeProcess, Process } from '../../core/contract/compute-process.ts';
import type { Field } from '../output/fields.ts';
import { bytes, instant } from '../output/format.ts';
import type { Column } from '../output/table.ts';

/** The columns of Get-ComputeProcess. */
export const COMPUTE_PROCESS_COLUMNS: readonly Column<ComputeProcess>[] = [
  { header: 'Id', value: ({ id }) => id },
  { header: 'Name', value: ({ name }) => name, flexible: true },
  { header: 'Owner', value: ({ owner }) => owner },
  { header: 'Type', value: ({ type }) => type },
];

export const computeProcessFields = (process: ComputeProcess): readonly Field[] => [
  ['Id', process.id],
  ['Name', process.name],
  ['Owner', process.owner],
  ['Type', process.type],
  ['RuntimeType', process.runtimeType],
  ['State', process.state],
  ['HostId', process.hostId],
  ['StartedAt', instant(process.startedAt)],
  [
    'WorkerProcess',
    process.workerProcess === null
      ? 'none (it runs on the host’s kernel)'
      : `${process.workerProcess.name}, pid ${process.workerProcess.pid}, user ${process.workerProcess.userName}`,
  ],
];

const hasHostPid = ({ hostPid, pid }: Process): boolean => hostPid !== undefined && hostPid !== pid;

/** The columns of Get-Process, with the process id on the host if it differs. */
export const processColumns = (processes: readonly Process[]): readonly Column<Process>[] => [
  { header: 'Id', value: ({ pid }) => String(pid), right: true },
  ...(processes.some(hasHostPid)
    ? [{ header: 'HostId', value: ({ hostPid }: Process) => String(hostPid ?? ''), right: true }]
    : []),
  { header: 'CPU(s)', value: ({ cpuSeconds }) => cpuSeconds.toFixed(2), right: true },
  { header: 'WS', value: ({ workingSetBytes }) => bytes(workingSetBytes), right: true },
  { header: 'UserName', value: ({ userName }) => userName, flexible: true },
  { header: 'ProcessName', value: ({ name }) => name, flexible: true },
];
