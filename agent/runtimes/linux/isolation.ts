import { readFileSync } from 'node:fs';
import type { IsolationReport, Process, WorkerProcess } from '../../../core/contract/compute-process.ts';
import type { NetworkReport } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';

export interface Measurements {
  readonly runtimeType: RuntimeType;
  /** As asked inside the container. */
  readonly containerKernel: string;
  readonly containerProcesses: readonly Process[];
  readonly hostProcesses: readonly Process[];
  readonly workerProcess: WorkerProcess | null;
  readonly network: NetworkReport | null;
  /** Left out of a container that has a kernel of its own. */
  readonly userNamespace?: IsolationReport['userNamespace'];
}

/** As asked outside. */
const hostKernel = (): string => readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();

/**
 * A process of the container is visible when the host's list has it: by its pid there, which listing the
 * container's pid namespace found. A guest's processes have no pid on the host; that none of them is there under
 * another is measured by looking for the worker's children.
 */
export const reportIsolation = ({
  containerKernel,
  hostProcesses,
  ...measured
}: Measurements): IsolationReport => {
  const host = hostKernel();
  const hostPids = new Set(hostProcesses.map(({ pid }) => pid));
  const own = measured.containerProcesses.flatMap(({ hostPid }) =>
    hostPid !== undefined && hostPids.has(hostPid) ? [hostPid] : [],
  );
  const children = measured.workerProcess
    ? hostProcesses.filter(({ pid }) => isChildOf(pid, measured.workerProcess?.pid ?? 0))
    : [];
  const visible = new Set([...own, ...children.map(({ pid }) => pid)]);
  return {
    runtimeType: measured.runtimeType,
    kernel: { host, container: containerKernel },
    sharedKernel: host === containerKernel,
    containerProcesses: [...measured.containerProcesses],
    visibleOnHost: hostProcesses.filter(({ pid }) => visible.has(pid)),
    workerProcess: measured.workerProcess,
    network: measured.network,
    ...(measured.userNamespace === undefined ? {} : { userNamespace: measured.userNamespace }),
  };
};

const isChildOf = (pid: number, parent: number): boolean => {
  try {
    return new RegExp(`^PPid:\\t${parent}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
