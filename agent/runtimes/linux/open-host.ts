import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import type { HostFacts } from '../../../core/contract/host.ts';
import { DEFAULT_RESOURCES } from '../../../core/contract/primitives.ts';
import type { Clock } from '../../clock.ts';
import { messageOf, RuntimeError } from '../../errors.ts';
import { refuseNewerRecords, upgradeRecords } from '../../formats/record-files.ts';
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
import { describeHost, TEMPLATE_LIMITS } from './describe-host.ts';
import { divideDisk, measureDisk } from './disk-space.ts';
import { holdHostLock } from './host-lock.ts';
import type { HostParts } from './host-parts.ts';
import { ImageStore, miniDigest } from './image/image-store.ts';
import { ImageImporter } from './image/import-image.ts';
import { createLayout } from './layout.ts';
import { Leases } from './leases.ts';
import { LinuxRuntime } from './linux-runtime.ts';
import { makeFolders } from './make-folders.ts';
import { NatSwitch } from './network/nat-switch.ts';
import { linuxRecordFiles } from './record-files.ts';
import { recoverHost, removeImports } from './recover-host.ts';
import { probeAccelerator } from './vm/accelerator.ts';
import { IDLE_MS, IdleMemory } from './vm/idle-memory.ts';
import { describeMachine } from './vm/machine.ts';
import { ensurePlaceholders } from './vm/placeholders.ts';
import { poolVmMB } from './vm/pool-demand.ts';
import { makePooledVm } from './vm/pooled-vm.ts';
import { Templates } from './vm/templates.ts';
import { shapeFor, VmContainers } from './vm/vm-containers.ts';
import { VmPool } from './vm/vm-pool.ts';

export interface LinuxHostOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly randomBytes: (count: number) => Buffer;
  /** Created by the set-up. */
  readonly artifactsFolder: string;
  /** Where this host keeps images, containers and templates: on a disk. */
  readonly stateFolder: string;
  /** Sockets, mount points and records of processes: in memory. */
  readonly runFolder?: string;
  /** Memory of the pool, as a number of utility VMs of the default size. */
  readonly poolSize: number;
  /** Resources of the pool's VMs; the defaults of the API. */
  readonly poolResources: { readonly memoryMB: number; readonly cpus: number };
  /** Whether utility VMs are clones of a template. If false, each VM boots, which benchmarks measure. Default: true. */
  readonly templates?: boolean;
  /** Time after which an idle utility VM returns memory to the host. Default: one minute. */
  readonly idleVmMs?: number;
  /** Folders on this machine from which images can be imported. */
  readonly imageFolders: readonly string[];
  /** Private ranges that `allow` rules of network policies can open, in canonical form. Default: none. */
  readonly allowPrivate?: readonly string[];
  /** Name servers for the resolver of the switch, as `host#port`. Default: the name servers of this machine. */
  readonly nameServers?: readonly string[];
}

/**
 * Opens this machine as a host. Running containers of an earlier agent are adopted, and partially created resources are removed.
 * Needs root and a completed set-up.
 * @throws {RuntimeError} with the reason, if this machine does not support it
 * @throws {NewerFormatError} if a newer agent has used the state folder, which is then unchanged
 */
export const openLinuxHost = async (options: LinuxHostOptions): Promise<LinuxRuntime> => {
  const artifacts = await readArtifacts(options.artifactsFolder);
  if (artifacts === null)
    throw new RuntimeError('step-failed', 'The Linux runtime is not set up on this machine');
  const layout = createLayout(options.stateFolder, options.runFolder);
  await refuseNewerRecords(await linuxRecordFiles(layout));
  await makeFolders(layout);
  const unlock = await holdHostLock(layout);
  try {
    await upgradeRecords(await linuxRecordFiles(layout), options.log);
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
    await recoverHost(deps, parts);
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
  const accelerator = await probeAccelerator(deps, machine);
  const records = new ContainerRecords(deps);
  await removeImports(deps.layout);
  const disk = divideDisk(await measureDisk(deps.layout, records, TEMPLATE_LIMITS.memoryMB));
  const runs = new MainRuns(deps, records);
  const templates = new Templates(deps, machine, placeholders, TEMPLATE_LIMITS);
  const shape = shapeFor(options.poolResources, accelerator);
  const pool = new VmPool({
    clock: deps.clock,
    log: deps.log,
    budgetMB: options.poolSize * poolVmMB(shape),
    general: { shape, image: images.squashfs(miniDigest(deps.artifacts)) },
    make: (kind, pooled) => makePooledVm(deps, templates, placeholders, kind, pooled),
    hasImage: existsSync,
  });
  const onDeath = (id: string, reason: string) =>
    runs
      .vmDied(id, reason, true)
      .catch((error) => deps.log.error('could not record an exit', { reason: messageOf(error) }));
  const useTemplates = options.templates ?? true;
  // Prepared even with an empty pool, so that the first start of a container does not boot a VM.
  const prepared = useTemplates ? templates.prepare(shape) : Promise.resolve();
  void prepared.catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'AbortError'))
      deps.log.error('could not create the template', { reason: messageOf(error) });
  });
  const vms = new VmContainers({
    deps,
    machine,
    templates,
    pool,
    accelerator,
    onDeath,
    useTemplates,
  });
  const idleMemory = new IdleMemory(deps.clock, options.idleVmMs ?? IDLE_MS, () => vms.started());
  return {
    facts: describeHost(accelerator, runtimeTypes, options, disk),
    records,
    images,
    importer: new ImageImporter(deps, images, options.imageFolders, disk.imagesMB),
    layers,
    network,
    userNamespaces,
    defaults,
    vms,
    runs,
    pool,
    close: () => {
      idleMemory.close();
      void Promise.allSettled([templates.close(), pool.close(), network.close()]).finally(unlock);
    },
    shutDown: async () => {
      idleMemory.close();
      await Promise.all([templates.close(), pool.close()]);
      await images.unmountAll();
      if ((await readdir(deps.layout.runContainers)).length === 0) {
        await network.remove();
        await removeHostCgroups(deps.clock, deps.layout.tag);
        await rm(deps.layout.run, { recursive: true, force: true });
      } else {
        await network.close();
      }
      await unlock();
    },
  };
};

/** Root in a container must be an unprivileged user on the host. Without kernel support for that, only HyperV is offered. */
const supportedTypes = async (
  deps: LinuxDeps,
  parts: Pick<HostParts, 'images' | 'defaults' | 'userNamespaces'>,
): Promise<HostFacts['capabilities']['runtimeTypes']> => {
  if ((await probeIdmaps(deps, parts)) !== null) return ['Default', 'HyperV'];
  deps.log.error('this host runs HyperV containers only', {
    reason: 'The kernel can’t map the ids of a container’s files to the container’s user namespace.',
    suggestion: 'Use Linux 5.19 or newer with erofs (package erofs-utils), or 6.2 or newer.',
  });
  return ['HyperV'];
};
