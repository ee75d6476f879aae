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
import { describeMachine } from './vm/machine.ts';
import { ensurePlaceholders } from './vm/placeholders.ts';
import { Templates } from './vm/templates.ts';
import { shapeFor, VmContainers } from './vm/vm-containers.ts';
import { VmPool } from './vm/vm-pool.ts';

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

/**
 * Makes this machine a host, taking up whatever an earlier agent left: what runs is adopted, what is half made is
 * removed. Needs root, and the set-up to have been.
 * @throws {RuntimeError} with the reason, where the machine does not allow it
 * @throws {NewerFormatError} when a newer agent has worked here; nothing has been changed then
 */
export const openLinuxHost = async (options: LinuxHostOptions): Promise<LinuxRuntime> => {
  const artifacts = await readArtifacts(options.artifactsFolder);
  if (artifacts === null)
    throw new RuntimeError('step-failed', 'The Linux runtime has not been set up on this machine');
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
        await removeHostCgroups(deps.clock, deps.layout.tag);
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
