import { spawn } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { sleep } from '../../../clock.ts';
import { RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import { limitWorker, removeWorkerCgroups, workerCgroups, workerIdsInCgroups } from '../cgroups.ts';
import type { LinuxDeps } from '../deps.ts';
import { readRecord, readTail, replaceLink, writeRecord } from '../files.ts';
import { deviceName, vmPaths } from '../layout.ts';
import { namedNamespace } from '../network/endpoint.ts';
import { routerName } from '../network/router.ts';
import {
  commandLineOf,
  holdsFiles,
  identify,
  isAlive,
  killProcess,
  listPids,
  type ProcessIdentity,
} from '../proc.ts';
import { printable } from './guest-text.ts';
import { qemuArguments, STATE_FD, type VmShape, type VmStart, WORKER_OVERHEAD_MB } from './qemu-arguments.ts';
import { WorkerFormat, type WorkerRecord } from './worker-record.ts';

const SHORT_ID = 8;

export interface LaunchOptions {
  readonly vmId: string;
  readonly containerId: string | null;
  readonly shape: VmShape;
  readonly start: VmStart;
  /** For a clone: the sealed memory, and the file with the state of the devices. */
  readonly template?: { readonly ram: string; readonly state: string };
  /** Runs the VM at low priority, for background work. */
  readonly lowPriority?: boolean;
  readonly disks?: string;
  /** The files for a rehearsal in the VM. */
  readonly placeholders?: Placeholders;
}

export interface Placeholders {
  readonly squashfs: string;
  readonly ext4: string;
}

const workerProcessName = (vmId: string): string => `vmwp-${vmId.slice(0, SHORT_ID)}`;

const LOW_PRIORITY = 10;

/**
 * Starts a worker process: a uid, a tap device, cgroups, disks, and QEMU in its jail. Resolves when its sockets accept
 * connections. Undoes all steps if one fails.
 */
export const launchWorker = async (deps: LinuxDeps, options: LaunchOptions): Promise<WorkerRecord> => {
  const { vmId, containerId, shape } = options;
  const paths = vmPaths(deps.layout, vmId);
  await mkdir(paths.run, { recursive: true });
  // The worker's user must be able to traverse the folder to its sockets, regardless of the umask.
  await chmod(paths.run, 0o711);
  const record: WorkerRecord = {
    vmId,
    containerId,
    uid: await deps.leases.take('uid', vmId),
    ranImageCode: false,
    ...shape,
    process: null,
    createdAtMs: deps.clock.now().getTime(),
  };
  await writeRecord(paths.record, WorkerFormat, record);
  try {
    await prepareDisks(options.disks ?? paths.disks, options.placeholders, record.uid);
    await limitWorker(deps.layout.tag, vmId, {
      memoryBytes: (shape.ramMB + WORKER_OVERHEAD_MB) * MIB,
      cpus: shape.cpus + 1,
    });
    const started = { ...record, process: await spawnWorker(deps, options, record.uid) };
    await writeRecord(paths.record, WorkerFormat, started);
    return started;
  } catch (error) {
    await removeWorker(deps, vmId);
    throw error;
  }
};

const prepareDisks = async (
  disks: string,
  placeholders: Placeholders | undefined,
  uid: number,
): Promise<void> => {
  await mkdir(disks, { recursive: true });
  await chown(disks, 0, uid);
  await chmod(disks, 0o750);
  if (placeholders === undefined) return;
  const { squashfs, ext4 } = placeholders;
  const own = join(disks, 'placeholder.ext4');
  await Promise.all([replaceLink(squashfs, join(disks, 'placeholder.squashfs')), copyFile(ext4, own)]);
  await chown(own, uid, uid);
};

const spawnWorker = (
  { layout, artifacts }: LinuxDeps,
  { vmId, shape, start, template, lowPriority, disks }: LaunchOptions,
  uid: number,
): Promise<ProcessIdentity> => {
  const paths = vmPaths(layout, vmId);
  const args = [
    'launch-vm',
    `uid=${uid}`,
    `run=${paths.run}`,
    `disks=${disks ?? paths.disks}`,
    `boot=${artifacts.folder}`,
    `router=${namedNamespace(routerName(layout.tag))}`,
    `tap=${deviceName(layout, 't', vmId)}`,
    `preload=${artifacts.preload}`,
    ...(template ? [`ram=${template.ram}`, `state=${template.state}`] : []),
    ...(lowPriority ? [`nice=${LOW_PRIORITY}`] : []),
    ...workerCgroups(layout.tag, vmId).map((folder) => `cgroup=${folder}`),
    '--',
    ...qemuArguments(vmId, workerProcessName(vmId), shape, start),
  ];
  const child = spawn(artifacts.helper, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: {} });
  child.unref();
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (reason: string) =>
      reject(new RuntimeError('step-failed', `The utility VM’s process could not be started: ${reason}`));
    child.stdout.on('data', (chunk: Buffer) => {
      const pid = Number(chunk.toString());
      const identity = identify(pid);
      child.stdout.destroy();
      child.stderr.destroy();
      if (identity === null) fail('it ended immediately');
      else resolve(identity);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once('error', (error) => fail(error.message));
    child.once('close', () => fail(said.trim()));
  });
};

/** Where a clone reads its state from. */
export const STATE_URI = `fd:${STATE_FD}`;

const CONNECT_ATTEMPTS = 3;

/** Connects to one of the worker's sockets, which listen before the worker runs. */
export const connectTo = (path: string, attempts = CONNECT_ATTEMPTS): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      // Until its user listens: an error without a listener would end the agent.
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.destroy();
      if (error.code === 'EAGAIN' && attempts > 1) resolve(connectTo(path, attempts - 1));
      else
        reject(new RuntimeError('step-failed', `The utility VM’s process does not answer: ${error.message}`));
    });
  });

export const readWorker = (deps: LinuxDeps, vmId: string): Promise<WorkerRecord | null> =>
  readRecord(vmPaths(deps.layout, vmId).record, WorkerFormat);

/** Ids of all workers of this host that have a record or another resource. */
export const listWorkerIds = async ({ layout }: LinuxDeps): Promise<string[]> => {
  const folders = [layout.runVms, layout.vmDisks];
  const names = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])));
  return [...new Set([...names.flat(), ...(await workerIdsInCgroups(layout.tag))])];
};

export const isWorkerAlive = (record: WorkerRecord): boolean =>
  record.process !== null && isAlive(record.process);

/** Finds a worker whose record has no process yet, by its command line. */
const findUnrecorded = (vmId: string): ProcessIdentity[] =>
  listPids()
    .filter((pid) => commandLineOf(pid).some((word) => word.startsWith(`guest=${vmId},`)))
    .flatMap((pid) => identify(pid) ?? []);

const DEATH_POLL_MS = 2;
const DEATH_POLLS = 1_500;

const untilGone = async ({ clock }: LinuxDeps, worker: ProcessIdentity): Promise<void> => {
  for (let polls = 0; holdsFiles(worker); polls++) {
    if (polls === DEATH_POLLS)
      throw new RuntimeError(
        'step-failed',
        `The utility VM’s process ${worker.pid} was killed but has not ended. Its disks are kept until it ends.`,
      );
    await sleep(clock, DEATH_POLL_MS);
  }
};

/**
 * Kills a worker and removes all its resources. No effect if it has none.
 * @throws {RuntimeError} `step-failed` if its process does not end; no resource is removed then
 */
export const removeWorker = async (deps: LinuxDeps, vmId: string): Promise<void> => {
  const paths = vmPaths(deps.layout, vmId);
  const record = await readWorker(deps, vmId);
  const processes = record?.process ? [record.process] : findUnrecorded(vmId);
  for (const one of processes) killProcess(one);
  for (const one of processes) await untilGone(deps, one);
  await removeWorkerCgroups(deps.clock, deps.layout.tag, vmId);
  await rm(paths.disks, { recursive: true, force: true });
  await deps.leases.release('uid', vmId);
  await rm(paths.run, { recursive: true, force: true });
};

const ERRORS_BYTES = 600;

/** QEMU's last messages, such as why it did not start. A QEMU that a guest has compromised can write anything, and a lot. */
export const workerErrors = async (deps: LinuxDeps, vmId: string): Promise<string> => {
  const last = await readTail(vmPaths(deps.layout, vmId).errors, ERRORS_BYTES);
  return printable(last.toString('latin1')).trim();
};
