import type { Process, WorkerProcess } from '../../../core/contract/compute-process.ts';
import type { OsFamily } from '../../../core/contract/host.ts';
import { simulatedUser } from './users.ts';
import type { SimulatedContainer } from './world.ts';

/**
 * Process lists as in the documentation of Hyper-V containers. The processes of a process-isolated container are also
 * in the host's list. The processes of a utility VM are only in the VM's list. For the VM, the host shows one worker
 * process, whose user is named after the container. Pids are taken from the documentation if it lists them.
 */

type Row = readonly [pid: number, name: string, userName?: string];
const SYSTEM = 'NT AUTHORITY\\SYSTEM';

const WINDOWS_HOST: readonly Row[] = [
  [4, 'System'],
  [264, 'smss.exe'],
  [532, 'csrss.exe'],
  [608, 'csrss.exe'],
  [616, 'wininit.exe'],
  [652, 'winlogon.exe'],
  [700, 'services.exe'],
  [708, 'lsass.exe'],
  [796, 'svchost.exe', 'NT AUTHORITY\\NETWORK SERVICE'],
  [1092, 'vmms.exe'],
  [1104, 'vmcompute.exe'],
  [3484, 'csrss.exe'],
];
const LINUX_HOST: readonly Row[] = [
  [1, 'systemd', 'root'],
  [2, 'kthreadd', 'root'],
  [311, 'systemd-journal', 'root'],
  [344, 'systemd-udevd', 'root'],
  [402, 'dbus-daemon', 'messagebus'],
  [418, 'sshd', 'root'],
];

/** The pid of csrss is 1228 in the first process-isolated container, and 956 in the utility VM. */
const WINDOWS_DEFAULT: readonly Row[] = [
  [1188, 'smss.exe'],
  [1228, 'csrss.exe'],
  [1272, 'wininit.exe'],
  [1320, 'services.exe'],
];
const WINDOWS_DEFAULT_MAIN = 1428;
const WINDOWS_VM: readonly Row[] = [
  [4, 'System'],
  [900, 'smss.exe'],
  [956, 'csrss.exe'],
  [992, 'wininit.exe'],
  [1040, 'services.exe'],
  [1052, 'lsass.exe'],
];
const WINDOWS_VM_MAIN = 1308;
/** Number of pids per container. The ranges of two containers do not overlap, and host processes use no pid in them. */
const SLOT_PIDS = 256;
const FIRST_WORKER_PID = 1_000_000;
const FIRST_LINUX_HOST_PID = 20_000;

/** Plausible values that are the same at every call. */
const row = ([pid, name, userName = SYSTEM]: Row, startedAt: string | null, commandLine = name): Process => ({
  pid,
  name,
  userName,
  commandLine,
  cpuSeconds: Math.round((pid % 97) * 1.7) / 10,
  workingSetBytes: (2_000 + (pid % 389) * 12) * 1024,
  startedAt,
});

const isRunning = (one: SimulatedContainer): boolean => one.run !== null && one.run.endedAt === null;

const mainName = (family: OsFamily, command: readonly string[]): string => {
  const name = command[0]?.split(/[\\/]/).at(-1) ?? '';
  return family === 'windows' && !/\.exe$/i.test(name) ? `${name}.exe` : name;
};

/** The processes inside a running container. */
export const containerProcesses = (
  family: OsFamily,
  one: SimulatedContainer,
  command: readonly string[],
): Process[] => {
  const startedAt = one.run === null ? null : new Date(one.run.startedAt).toISOString();
  const isolated = one.container.runtimeType === 'HyperV';
  const user = one.container.spec.user;
  const name = mainName(family, command);
  const line = command.join(' ');
  if (family === 'linux') {
    const main = row([1, name, simulatedUser(family, user)], startedAt, line);
    return [isolated ? main : { ...main, hostPid: FIRST_LINUX_HOST_PID + (one.run?.place ?? 0) * SLOT_PIDS }];
  }
  const shift = isolated ? 0 : (one.run?.place ?? 0) * SLOT_PIDS;
  const rows = (isolated ? WINDOWS_VM : WINDOWS_DEFAULT).map(
    ([pid, system, owner]): Process => row([pid + shift, system, owner], startedAt),
  );
  const main = (isolated ? WINDOWS_VM_MAIN : WINDOWS_DEFAULT_MAIN) + shift;
  const all = [...rows, row([main, name, user ?? 'User Manager\\ContainerAdministrator'], startedAt, line)];
  return isolated ? all : all.map((each) => ({ ...each, hostPid: each.pid }));
};

/** The host process that runs a utility VM; null for a container without a VM. */
export const workerProcess = (family: OsFamily, one: SimulatedContainer): WorkerProcess | null =>
  one.utilityVm === 'Absent'
    ? null
    : {
        pid: FIRST_WORKER_PID + one.slot * 8,
        name: family === 'windows' ? 'vmwp.exe' : `vmwp-${one.id.slice(0, 8)}`,
        userName: one.id.toUpperCase(),
      };

/** All processes in the host's list. */
export const hostProcesses = (
  family: OsFamily,
  containers: readonly SimulatedContainer[],
  commandOf: (one: SimulatedContainer) => readonly string[],
): Process[] => {
  const own = (family === 'windows' ? WINDOWS_HOST : LINUX_HOST).map((each) => row(each, null));
  const shared = containers
    .filter((one) => isRunning(one) && one.container.runtimeType === 'Default')
    .flatMap((one) => containerProcesses(family, one, commandOf(one)))
    .map(({ hostPid, ...rest }) => ({ ...rest, pid: hostPid ?? rest.pid }));
  const workers = containers.flatMap((one) => {
    const worker = workerProcess(family, one);
    if (worker === null) return [];
    const vmwp = row([worker.pid, worker.name, worker.userName], null);
    return family === 'windows' ? [vmwp, row([worker.pid + 4, 'vmmem', worker.userName], null)] : [vmwp];
  });
  return [...own, ...shared, ...workers].sort((a, b) => a.pid - b.pid);
};
