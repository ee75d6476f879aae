import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, sleep } from '../../clock.ts';

const MOUNT = '/sys/fs/cgroup';
export const CPU_PERIOD_US = 100_000;
export const WORKER = 'vm-';
const V1_CONTROLLERS = ['memory', 'cpu', 'pids'] as const;

interface WorkerLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
}

const isUnified = (): boolean => existsSync(join(MOUNT, 'cgroup.controllers'));

/** The parent of all cgroups of one host, as runc's `cgroupsPath` begins. */
export const cgroupParent = (tag: string): string => `/bulkhead-${tag}`;

/**
 * The cgroup folders of one worker process: one where the machine has the unified hierarchy, one for each
 * controller where it has the older ones.
 */
export const workerCgroups = (tag: string, vmId: string): string[] => {
  const path = join(cgroupParent(tag), `${WORKER}${vmId}`);
  return isUnified()
    ? [join(MOUNT, path)]
    : V1_CONTROLLERS.map((controller) => join(MOUNT, controller, path));
};

/** Where the kernel counts what it has killed of a process container for want of memory, as `oom_kill <number>`. */
export const memoryEventsFile = (tag: string, id: string): string => {
  const path = join(cgroupParent(tag), id);
  return isUnified() ? join(MOUNT, path, 'memory.events') : join(MOUNT, 'memory', path, 'memory.oom_control');
};

/**
 * Whether this machine counts what a cgroup has swapped out, so that it can be limited; a kernel may be booted without.
 * The root of the unified hierarchy has no limits, so the cgroups in it are looked at.
 */
export const countsSwap = (): boolean =>
  isUnified()
    ? readdirSync(MOUNT).some((name) => existsSync(join(MOUNT, name, 'memory.swap.max')))
    : existsSync(join(MOUNT, 'memory', 'memory.memsw.limit_in_bytes'));

const quota = (cpus: number): number => Math.max(1_000, Math.round(cpus * CPU_PERIOD_US));

/** A file that a kernel without accounting of swap doesn't have. */
const writeIfThere = async (path: string, text: string): Promise<void> => {
  if (existsSync(path)) await writeFile(path, text);
};

/** Makes the worker's cgroups, or changes their limits. */
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
    return;
  }
  const [memory = '', cpu = ''] = folders;
  await writeFile(join(memory, 'memory.limit_in_bytes'), String(memoryBytes));
  await writeIfThere(join(memory, 'memory.memsw.limit_in_bytes'), String(memoryBytes));
  await writeFile(join(cpu, 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
  await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(quota(cpus)));
};

/** The limits of a cgroup of this host, by its name; null for what it does not limit. */
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
    processor: limitOf(processor, 'microseconds a period'),
  };
};

/** A limit that is not one: `max`, -1, or the largest number that the older hierarchies have. */
const NO_LIMIT = /^(max|-1|9223372036854771712)/;
export const limitOf = (text: string, unit: string): string | null => {
  const [value = ''] = text.trim().split(' ');
  return value === '' || NO_LIMIT.test(value) ? null : `${value} ${unit}`;
};

type SleepClock = Pick<Clock, 'after'>;

const BUSY_ATTEMPTS = 200;
const BUSY_PAUSE_MS = 5;

/** A process that has ended keeps its cgroup until its parent has seen the end. */
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

/** Every hierarchy's folder of this host, for counting and for the last clean-up. */
export const hostCgroups = async (tag: string): Promise<string[]> => {
  const controllers = isUnified() ? [''] : await readdir(MOUNT).catch(() => []);
  return controllers
    .map((controller) => join(MOUNT, controller, cgroupParent(tag)))
    .filter((folder) => existsSync(folder));
};

/** The VMs of this host that have a cgroup, whatever else is left of them. */
export const workerIdsInCgroups = async (tag: string): Promise<string[]> => {
  const names = await Promise.all((await hostCgroups(tag)).map((folder) => readdir(folder)));
  return names.flat().flatMap((name) => (name.startsWith(WORKER) ? [name.slice(WORKER.length)] : []));
};

export const removeHostCgroups = async (clock: SleepClock, tag: string): Promise<void> => {
  for (const folder of new Set([...(await hostCgroups(tag)), ...parents(tag)]))
    await removeFolder(clock, folder);
};
