import { createHash } from 'node:crypto';
import { join } from 'node:path';

/**
 * The paths of one Linux host. There are two roots. `state`, on a disk, has the files that must survive a reboot. `run`, in
 * memory, has the files that must not: sockets, mount points, records of processes. Names depend only on ids.
 *
 * `tag` distinguishes the hosts of one machine, for example a test's host from that of `npm start`. It is part of the name of
 * each machine-wide resource (network devices, cgroups, firewall tables).
 */
export interface Layout {
  readonly tag: string;
  readonly state: string;
  readonly run: string;
  /** Shared by all hosts of the machine: the owners of uids, addresses and ports. */
  readonly leases: string;
  readonly images: string;
  readonly containers: string;
  readonly templates: string;
  /** Disks of utility VMs, as links. On the same file system as images and containers. */
  readonly vmDisks: string;
  readonly runVms: string;
  readonly runContainers: string;
  readonly runImages: string;
  readonly runcState: string;
}

const TAG_LENGTH = 5;

export const createLayout = (state: string, runBase = '/run/bulkhead'): Layout => {
  const tag = createHash('sha256').update(state).digest('hex').slice(0, TAG_LENGTH);
  const run = join(runBase, tag);
  return {
    tag,
    state,
    run,
    leases: join(runBase, 'leases'),
    images: join(state, 'images'),
    containers: join(state, 'containers'),
    templates: join(state, 'templates'),
    vmDisks: join(state, 'vms'),
    runVms: join(run, 'v'),
    runContainers: join(run, 'c'),
    runImages: join(run, 'i'),
    runcState: join(run, 'runc'),
  };
};

/** Folders and files of one container. */
export const containerPaths = (layout: Layout, id: string) => {
  const folder = join(layout.containers, id);
  const run = join(layout.runContainers, id);
  return {
    folder,
    /** The container's configuration: `ContainerRecord`. */
    record: join(folder, 'container.json'),
    /** The newest run of its main process: `RunRecord`. */
    runRecord: join(folder, 'run.json'),
    exit: join(folder, 'exit.json'),
    log: join(folder, 'main.log'),
    scratch: join(folder, 'scratch.ext4'),
    attachLock: join(folder, 'attached.json'),
    run,
    /** Mount point of the writable layer on this machine while a Default container runs. */
    rw: join(run, 'rw'),
    root: join(run, 'root'),
    /** Small file system in memory with a Default container's /etc/hosts and /etc/hostname, which it can change. */
    names: join(run, 'names'),
    /** Bind mount that keeps a Default container's user namespace alive. */
    userNamespace: join(run, 'user'),
    endpoint: join(run, 'endpoint.json'),
    /** Socket for attaching to a Default container's main process. */
    attachSocket: join(run, 'attach.sock'),
  };
};

export const vmPaths = (layout: Layout, vmId: string) => {
  const run = join(layout.runVms, vmId);
  const disks = join(layout.vmDisks, vmId);
  return {
    run,
    record: join(run, 'vm.json'),
    channel: join(run, 'channel.sock'),
    qmp: join(run, 'qmp.sock'),
    console: join(run, 'console.sock'),
    errors: join(run, 'stderr.log'),
    disks,
    image: join(disks, 'image.squashfs'),
    scratch: join(disks, 'scratch.ext4'),
  };
};

/** The name of a network device. Linux allows at most 15 characters. */
export const deviceName = (layout: Layout, kind: 'v' | 't', id: string): string =>
  `bh${kind}${layout.tag.slice(0, 3)}${createHash('sha256').update(id).digest('hex').slice(0, 9)}`;
export const devicePrefix = (layout: Layout): readonly string[] =>
  (['v', 't'] as const).map((kind) => `bh${kind}${layout.tag.slice(0, 3)}`);
