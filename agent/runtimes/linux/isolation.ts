import { readFileSync } from 'node:fs';
import type { IsolationReport, Process, WorkerProcess } from '../../../core/contract/compute-process.ts';
import type { NetworkReport } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { parentOf } from './proc.ts';

export interface Measurements {
  readonly runtimeType: RuntimeType;
  /** As asked inside the container. */
  readonly containerKernel: string;
  readonly containerProcesses: readonly Process[];
  /** Processes in the host's list that {@link visibleOnHost} selects. */
  readonly visibleOnHost: readonly Process[];
  readonly workerProcess: WorkerProcess | null;
  readonly network: NetworkReport | null;
  /** Left out of a container that has a kernel of its own. */
  readonly userNamespace?: IsolationReport['userNamespace'];
}

/** As asked outside. */
const hostKernel = (): string => readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();

/**
 * Which of the host's processes, by their pids there, belong to the container. A process of the container is visible
 * when the host's list has the pid that listing the container's pid namespace found. A guest's processes have no pid on
 * the host. That none of them is there under another is measured by looking for the worker's children.
 */
export const visibleOnHost = (
  containerProcesses: readonly Process[],
  worker: WorkerProcess | null,
): ((pid: number) => boolean) => {
  const own = new Set(containerProcesses.map(({ hostPid }) => hostPid));
  return (pid) => own.has(pid) || (worker !== null && parentOf(pid) === worker.pid);
};

export const reportIsolation = ({ containerKernel, ...measured }: Measurements): IsolationReport => {
  const host = hostKernel();
  return {
    runtimeType: measured.runtimeType,
    kernel: { host, container: containerKernel },
    sharedKernel: host === containerKernel,
    containerProcesses: [...measured.containerProcesses],
    visibleOnHost: [...measured.visibleOnHost],
    workerProcess: measured.workerProcess,
    network: measured.network,
    ...(measured.userNamespace === undefined ? {} : { userNamespace: measured.userNamespace }),
  };
};
