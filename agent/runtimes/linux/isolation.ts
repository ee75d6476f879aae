import { readFileSync } from 'node:fs';
import type { IsolationReport, Process, WorkerProcess } from '../../../core/contract/compute-process.ts';
import type { NetworkReport } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { parentOf } from './proc.ts';

export interface Measurements {
  readonly runtimeType: RuntimeType;
  /** As read inside the container. */
  readonly containerKernel: string;
  readonly containerProcesses: readonly Process[];
  /** Processes in the host's list that {@link visibleOnHost} selects. */
  readonly visibleOnHost: readonly Process[];
  readonly workerProcess: WorkerProcess | null;
  readonly network: NetworkReport | null;
  /** Omitted for a container with its own kernel. */
  readonly userNamespace?: IsolationReport['userNamespace'];
}

/** As read on the host. */
const hostKernel = (): string => readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();

/**
 * Selects the host's processes that belong to the container. A process of the container is visible if the host's list contains
 * its pid, as found in the container's pid namespace. A guest's processes have no pid on the host. To check that none of them
 * runs on the host with another pid, the children of the worker process are selected.
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
