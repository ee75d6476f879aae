import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { HostFacts } from '../../../core/contract/host.ts';
import { DEFAULT_RESOURCES } from '../../../core/contract/primitives.ts';
import type { Clock } from '../../clock.ts';
import { messageOf, RuntimeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { readArtifacts } from './artifacts.ts';
import { removeHostCgroups } from './cgroups.ts';
import { DefaultContainers } from './container/default-containers.ts';
import { MainRuns } from './container/main-runs.ts';
import { probeIdmaps } from './container/probe-idmaps.ts';
import { ContainerRecords } from './container/records.ts';
import { readSeccompProfile } from './container/seccomp.ts';
import { UserNamespaces } from './container/user-namespaces.ts';
import { WritableLayers } from './container/writable-layer.ts';
import type { LinuxDeps } from './deps.ts';
import { type DiskShares, divideDisk, measureDisk } from './disk-space.ts';
import { holdHostLock } from './host-lock.ts';
import { ImageStore, miniDigest } from './image/image-store.ts';
import { ImageImporter } from './image/import-image.ts';
import { containerPaths, createLayout, type Layout } from './layout.ts';
import { Leases } from './leases.ts';
import { LinuxRuntime } from './linux-runtime.ts';
import { makeFolders } from './make-folders.ts';
import { NAT, NatSwitch } from './network/nat-switch.ts';
import { readMountPoints } from './proc.ts';
import { runOrFail } from './run-command.ts';
import { probeAccelerator } from './vm/accelerator.ts';
import { templateLimits, templateReserveMB } from './vm/kept-templates.ts';
import { describeMachine } from './vm/machine.ts';
import { ensurePlaceholders } from './vm/placeholders.ts';
import type { Accelerator } from './vm/qemu-arguments.ts';
import { WORKER_OVERHEAD_MB } from './vm/qemu-arguments.ts';
import { Templates } from './vm/templates.ts';
import { shapeFor, VmContainers } from './vm/vm-containers.ts';
import { VmPool } from './vm/vm-pool.ts';

const MIB = 1024 * 1024;
/** What this machine itself and the agent need, in MiB. */
const HOST_RESERVE_MB = 512;
/** A processor may be promised to this many containers. */
const CPU_OVERCOMMIT = 4;
/** The guest's own kernel takes the same out of the VM's memory, so it is reserved as well. */
const GUEST_OVERHEAD_MB = 64;
const MACHINE_MEMORY_MB = Math.floor(totalmem() / MIB);
const TEMPLATE_LIMITS = templateLimits(MACHINE_MEMORY_MB);
const UTILITY_VM_OVERHEAD_MB = WORKER_OVERHEAD_MB + GUEST_OVERHEAD_MB;

export interface LinuxHostOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly randomBytes: (count: number) => Buffer;
  /** Made by the set-up. */
  readonly artifactsFolder: string;
  /** Where this host keeps images, containers and templates: on a disk. */
  readonly stateFolder: string;
  /** Sockets, mount points and records of processes: in memory. */
  readonly runFolder?: string;
  /** How many utility VMs wait, ready to be used. */
  readonly poolSize: number;
  /** For which containers the pool's VMs are; the API's defaults. */
  readonly poolResources: { readonly memoryMB: number; readonly cpus: number };
  /** Whether utility VMs are clones of a template; without, each boots (to measure what that takes). Default true. */
  readonly templates?: boolean;
  /** Folders of this machine from beneath which images may be imported. */
  readonly imageFolders: readonly string[];
  /** Private ranges that `allow` rules of network policies may open, in canonical form. Default none. */
  readonly allowPrivate?: readonly string[];
  /** Whom the resolver of the switch asks, as `host#port`. Default: the name servers of this machine. */
  readonly nameServers?: readonly string[];
}

export interface HostParts {
  readonly facts: HostFacts;
  readonly records: ContainerRecords;
  readonly images: ImageStore;
  readonly importer: ImageImporter;
  readonly layers: WritableLayers;
  readonly network: NatSwitch;
  readonly userNamespaces: UserNamespaces;
  readonly defaults: DefaultContainers;
  readonly vms: VmContainers;
  readonly runs: MainRuns;
  readonly pool: VmPool;
  readonly close: () => void;
  readonly shutDown: () => Promise<void>;
}

const readOs = (): HostFacts['os'] => {
  const release = readFileSync('/etc/os-release', 'utf8');
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  return { family: 'linux', sku: value('ID') || 'linux', version: value('VERSION_ID') || '0', build: 0 };
};

const describeHost = (
  accelerator: Accelerator,
  runtimeTypes: HostFacts['capabilities']['runtimeTypes'],
  options: LinuxHostOptions,
  disk: DiskShares,
): HostFacts => {
  const { poolSize, poolResources, allowPrivate } = options;
  const templatesMB = options.templates === false ? 0 : templateReserveMB(TEMPLATE_LIMITS);
  const pooledMB = poolSize * (poolResources.memoryMB + UTILITY_VM_OVERHEAD_MB);
  return {
    os: readOs(),
    architecture: 'amd64',
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    hypervisor: accelerator,
    capabilities: { runtimeTypes, runtimeConversion: 'inPlace' },
    switches: [NAT],
    capacity: {
      memoryMB: Math.max(0, MACHINE_MEMORY_MB - HOST_RESERVE_MB - pooledMB - templatesMB),
      cpus: availableParallelism() * CPU_OVERCOMMIT,
      diskMB: disk.containersMB,
    },
    utilityVmOverheadMB: UTILITY_VM_OVERHEAD_MB,
    networkCeiling: [...(allowPrivate ?? [])],
  };
};

/**
 * Makes this machine a host, taking up whatever an earlier agent left: what runs is adopted, what is half made is
 * removed. Needs root, and the set-up to have been.
 * @throws {RuntimeError} with the reason, where the machine does not allow it
 */
export const openLinuxHost = async (options: LinuxHostOptions): Promise<LinuxRuntime> => {
  const artifacts = await readArtifacts(options.artifactsFolder);
  if (artifacts === null)
    throw new RuntimeError('step-failed', 'The Linux runtime has not been set up on this machine');
  const layout = createLayout(options.stateFolder, options.runFolder);
  await makeFolders(layout);
  const unlock = await holdHostLock(layout);
  try {
    const { clock, log, newId, randomBytes } = options;
    const deps = {
      clock,
      log,
      newId,
      randomBytes,
      layout,
      artifacts,
      leases: new Leases(layout.leases, layout.tag),
    };
    const parts = await openParts(deps, options, unlock);
    await recover(deps, parts);
    void parts.pool.refill();
    return new LinuxRuntime(deps, parts);
  } catch (error) {
    await unlock();
    throw error;
  }
};

const openParts = async (
  deps: LinuxDeps,
  options: LinuxHostOptions,
  unlock: () => Promise<void>,
): Promise<HostParts> => {
  const network = await NatSwitch.open(deps, options.allowPrivate ?? [], options.nameServers ?? []);
  const images = new ImageStore(deps);
  await images.prepare();
  const placeholders = await ensurePlaceholders(deps);
  const layers = new WritableLayers(deps);
  await layers.prepare(DEFAULT_RESOURCES.diskMB);
  const userNamespaces = new UserNamespaces(deps);
  const defaults = new DefaultContainers(deps, await readSeccompProfile());
  const runtimeTypes = await supportedTypes(deps, { images, defaults, userNamespaces });
  const machine = await describeMachine();
  const accelerator = await probeAccelerator(deps, machine, placeholders);
  const records = new ContainerRecords(deps);
  await removeImports(deps.layout);
  const disk = divideDisk(await measureDisk(deps.layout, records, TEMPLATE_LIMITS.memoryMB));
  const runs = new MainRuns(deps, records);
  const templates = new Templates(deps, machine, placeholders, TEMPLATE_LIMITS);
  const shape = shapeFor(options.poolResources, accelerator);
  const pool = new VmPool(deps, templates, placeholders, {
    size: options.poolSize,
    shape,
    generalImage: images.squashfs(miniDigest(deps.artifacts)),
  });
  const onDeath = (id: string, reason: string) =>
    runs
      .vmDied(id, reason, true)
      .catch((error) => deps.log.error('an exit could not be recorded', { reason: messageOf(error) }));
  const useTemplates = options.templates ?? true;
  // Made now, also where no VM waits, so that no container's first start has to boot.
  const prepared = useTemplates ? templates.prepare(shape) : Promise.resolve();
  void prepared.catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'AbortError'))
      deps.log.error('the template could not be made', { reason: messageOf(error) });
  });
  return {
    facts: describeHost(accelerator, runtimeTypes, options, disk),
    records,
    images,
    importer: new ImageImporter(deps, images, options.imageFolders, disk.imagesMB),
    layers,
    network,
    userNamespaces,
    defaults,
    vms: new VmContainers({
      deps,
      machine,
      placeholders,
      templates,
      pool,
      accelerator,
      onDeath,
      useTemplates,
    }),
    runs,
    pool,
    close: () => {
      void Promise.allSettled([templates.close(), pool.close(), network.close()]).finally(unlock);
    },
    shutDown: async () => {
      await Promise.all([templates.close(), pool.close()]);
      await images.unmountAll();
      if ((await readdir(deps.layout.runContainers)).length === 0) {
        await network.remove();
        await removeHostCgroups(deps.layout.tag);
        await rm(deps.layout.run, { recursive: true, force: true });
      } else {
        await network.close();
      }
      await unlock();
    },
  };
};

/** Root in a container must be an ordinary user outside: where the kernel can't do that, containers get a VM or none. */
const supportedTypes = async (
  deps: LinuxDeps,
  parts: Pick<HostParts, 'images' | 'defaults' | 'userNamespaces'>,
): Promise<HostFacts['capabilities']['runtimeTypes']> => {
  if ((await probeIdmaps(deps, parts)) !== null) return ['Default', 'HyperV'];
  deps.log.error('this host runs HyperV containers only', {
    reason: 'The kernel can’t map the ids of a container’s files to a user namespace of its own.',
    suggestion: 'Use Linux 5.19 or newer with erofs (package erofs-utils), or 6.2 or newer.',
  });
  return ['HyperV'];
};

/** What an earlier agent left. Looks at what is there, and believes no memory of what was being done. */
const recover = async (
  deps: LinuxDeps,
  { vms, runs, records, network, layers, userNamespaces }: HostParts,
): Promise<void> => {
  const { adopted, lost } = await vms.recover();
  for (const { containerId, greeting, main } of adopted)
    await runs.recoverInGuest(containerId, greeting.main, greeting, main);
  for (const id of lost) await runs.vmDied(id, 'The utility VM ended while the agent was not running', false);
  const ids = new Set(await records.ids());
  for (const id of ids) {
    if ((await records.container(id)) !== null) await runs.recoverHere(id);
    else if (!(await layers.exists(id)))
      await rm(containerPaths(deps.layout, id).folder, { recursive: true, force: true });
  }
  for (const id of await readdir(deps.layout.runContainers)) if (!ids.has(id)) await network.disconnect(id);
  await removeUnusedNamespaces(deps, network, userNamespaces);
  await releaseOrphans(deps, ids);
};

/** A user namespace is made before what belongs to it, and removed after it. */
const removeUnusedNamespaces = async (
  { leases, layout }: LinuxDeps,
  network: NatSwitch,
  userNamespaces: UserNamespaces,
): Promise<void> => {
  const mounted = await readMountPoints();
  for (const { id } of await leases.held('ids'))
    if (!mounted.has(containerPaths(layout, id).root) && (await network.endpoint(id)) === null)
      await userNamespaces.remove(id);
};

/** An import has a file system of its own, which outlives the agent. */
const removeImports = async (layout: Layout): Promise<void> => {
  const folder = join(layout.state, 'imports');
  const mounted = [...(await readMountPoints())].filter((point) => point.startsWith(`${folder}/`));
  for (const point of mounted)
    await runOrFail('A broken off import could not be removed', 'umount', ['--', point]);
  await rm(folder, { recursive: true, force: true });
};

const releaseOrphans = async (
  { leases, layout }: LinuxDeps,
  containers: ReadonlySet<string>,
): Promise<void> => {
  const vms = new Set(await readdir(layout.runVms));
  for (const { id } of await leases.held('uid')) if (!vms.has(id)) await leases.release('uid', id);
  for (const kind of ['address', 'tcp', 'udp'] as const)
    for (const { id } of await leases.held(kind))
      if (!containers.has(id.split('/')[0] ?? '')) await leases.release(kind, id);
};
