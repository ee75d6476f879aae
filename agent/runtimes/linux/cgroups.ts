import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, sleep } from '../../clock.ts';

const MOUNT = '/sys/fs/cgroup';
export const CPU_PERIOD_US = 100_000;
export const WORKER = 'vm-';
const V1_CONTROLLERS = ['memory', 'cpu', 'pids'] as const;
/** Threads of a worker process, which a compromised QEMU could start without end. It uses about 70. */
export const WORKER_THREADS = 512;

interface WorkerLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
}

const isUnified = (): boolean => existsSync(join(MOUNT, 'cgroup.controllers'));

/** The parent of all cgroups of one host; the prefix of runc's `cgroupsPath`. */
export const cgroupParent = (tag: string): string => `/bulkhead-${tag}`;

/**
 * The cgroup folders of one worker process: one on a machine with cgroup v2, one for each controller on a machine with
 * cgroup v1.
 */
export const workerCgroups = (tag: string, vmId: string): string[] => {
  const path = join(cgroupParent(tag), `${WORKER}${vmId}`);
  return isUnified()
    ? [join(MOUNT, path)]
    : V1_CONTROLLERS.map((controller) => join(MOUNT, controller, path));
};

/** The file with the number of processes that the kernel killed because memory ran out, as `oom_kill <number>`. */
export const memoryEventsFile = (tag: string, id: string): string => {
  const path = join(cgroupParent(tag), id);
  return isUnified() ? join(MOUNT, path, 'memory.events') : join(MOUNT, 'memory', path, 'memory.oom_control');
};

/** The pids of the processes in the cgroup of a Default container; none if it has no cgroup. */
export const containerPids = async (tag: string, id: string): Promise<number[]> => {
  const path = join(MOUNT, isUnified() ? '' : 'pids', cgroupParent(tag), id, 'cgroup.procs');
  return (await readFile(path, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number);
};

/**
 * Whether the kernel accounts for the swap of cgroups, which boot options can turn off. Without it, swap cannot be limited.
 * The root of the cgroup v2 hierarchy has no limits, so the cgroups in it are checked.
 */
export const countsSwap = (): boolean =>
  isUnified()
    ? readdirSync(MOUNT).some((name) => existsSync(join(MOUNT, name, 'memory.swap.max')))
    : existsSync(join(MOUNT, 'memory', 'memory.memsw.limit_in_bytes'));

const quota = (cpus: number): number => Math.max(1_000, Math.round(cpus * CPU_PERIOD_US));

/** Writes a limit of swap. Its file does not exist if the kernel does not account for swap. */
const writeIfThere = async (path: string, text: string): Promise<void> => {
  if (existsSync(path)) await writeFile(path, text);
};

/** Creates the worker's cgroups, or changes their limits. */
export const limitWorker = async (
  tag: string,
  vmId: string,
  { memoryBytes, cpus }: WorkerLimits,
): Promise<void> => {
  const folders = workerCgroups(tag, vmId);
  await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true })));
  const first = folders[0] ?? '';
  if (isUnified()) {
    await writeFile(join(MOUNT, cgroupParent(tag), 'cgroup.subtree_control'), '+memory +cpu +pids').catch(
      () => {},
    );
    await writeFile(join(first, 'memory.max'), String(memoryBytes));
    await writeIfThere(join(first, 'memory.swap.max'), '0');
    await writeFile(join(first, 'cpu.max'), `${quota(cpus)} ${CPU_PERIOD_US}`);
    await writeFile(join(first, 'pids.max'), String(WORKER_THREADS));
    return;
  }
  const [memory = '', cpu = '', pids = ''] = folders;
  await writeFile(join(memory, 'memory.limit_in_bytes'), String(memoryBytes));
  await writeIfThere(join(memory, 'memory.memsw.limit_in_bytes'), String(memoryBytes));
  await writeFile(join(cpu, 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
  await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(quota(cpus)));
  await writeFile(join(pids, 'pids.max'), String(WORKER_THREADS));
};

/** The limits of one of this host's cgroups; null where there is no limit. */
export const readLimits = async (tag: string, name: string) => {
  const path = join(cgroupParent(tag), name);
  const read = (controller: string, file: string) =>
    readFile(join(MOUNT, isUnified() ? '' : controller, path, file), 'utf8').catch(() => 'max');
  const [memory, processes, processor] = await Promise.all([
    read('memory', isUnified() ? 'memory.max' : 'memory.limit_in_bytes'),
    read('pids', 'pids.max'),
    read('cpu', isUnified() ? 'cpu.max' : 'cpu.cfs_quota_us'),
  ]);
  return {
    memory: limitOf(memory, 'bytes'),
    processes: limitOf(processes, 'processes'),
    processor: limitOf(processor, 'microseconds per period'),
  };
};

/** Values without a limit: `max`, -1, or the largest number in cgroup v1. */
const NO_LIMIT = /^(max|-1|9223372036854771712)/;
export const limitOf = (text: string, unit: string): string | null => {
  const [value = ''] = text.trim().split(' ');
  return value === '' || NO_LIMIT.test(value) ? null : `${value} ${unit}`;
};

type SleepClock = Pick<Clock, 'after'>;

const BUSY_ATTEMPTS = 200;
const BUSY_PAUSE_MS = 5;

/** Retries, because a process that has ended keeps its cgroup busy until its parent reaps it. */
const removeFolder = async (clock: SleepClock, folder: string): Promise<void> => {
  for (let attempt = 0; attempt < BUSY_ATTEMPTS; attempt++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      await sleep(clock, BUSY_PAUSE_MS);
    }
  }
};

export const removeWorkerCgroups = async (clock: SleepClock, tag: string, vmId: string): Promise<void> => {
  await Promise.all(workerCgroups(tag, vmId).map((folder) => removeFolder(clock, folder)));
};

const parents = (tag: string): string[] => {
  const controllers = isUnified() ? [''] : (['memory', 'cpu', 'pids'] as const);
  return controllers.map((controller) => join(MOUNT, controller, cgroupParent(tag)));
};

/** This host's folder in each hierarchy, for listing and for the final clean-up. */
export const hostCgroups = async (tag: string): Promise<string[]> => {
  const controllers = isUnified() ? [''] : await readdir(MOUNT).catch(() => []);
  return controllers
    .map((controller) => join(MOUNT, controller, cgroupParent(tag)))
    .filter((folder) => existsSync(folder));
};

/** Ids of this host's VMs that have a cgroup, even if nothing else of the VM exists. */
export const workerIdsInCgroups = async (tag: string): Promise<string[]> => {
  const names = await Promise.all((await hostCgroups(tag)).map((folder) => readdir(folder)));
  return names.flat().flatMap((name) => (name.startsWith(WORKER) ? [name.slice(WORKER.length)] : []));
};

export const removeHostCgroups = async (clock: SleepClock, tag: string): Promise<void> => {
  for (const folder of new Set([...(await hostCgroups(tag)), ...parents(tag)]))
    await removeFolder(clock, folder);
};
