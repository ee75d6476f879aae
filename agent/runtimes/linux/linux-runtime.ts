import { rm } from 'node:fs/promises';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { IsolationReport, Process } from '../../../core/contract/compute-process.ts';
import type { HostFacts } from '../../../core/contract/host.ts';
import type { ImageFacts } from '../../../core/contract/image.ts';
import type { IsolationVerification } from '../../../core/contract/isolation-verification.ts';
import type { ResolvedNetworkPolicy } from '../../../core/contract/network.ts';
import { NO_SWITCH } from '../../../core/contract/primitives.ts';
import type { LogPage } from '../../../core/contract/session.ts';
import { isFull } from '../../disk-reserve.ts';
import { RuntimeError } from '../../errors.ts';
import { ExclusiveRunner } from '../../execute/exclusive-runner.ts';
import type { AttachOptions, ImportImage, LogQuery, Runtime, RuntimeContainer } from '../runtime.ts';
import type { ExecRequest, SessionProcess } from '../session-process.ts';
import { refuseUntrustedDisk } from '../untrusted-disk.ts';
import { allSettled } from './all-settled.ts';
import { GuestStream, openGuestStream } from './channel/guest-stream.ts';
import type { DefaultContainers } from './container/default-containers.ts';
import { noRoomForLayer } from './container/empty-layer.ts';
import type { MainRuns } from './container/main-runs.ts';
import { resolveMain } from './container/oci-config.ts';
import { readLog } from './container/read-log.ts';
import type { ContainerRecord, ContainerRecords } from './container/records.ts';
import { stopSignalOf } from './container/stop-signal.ts';
import type { UserNamespaces } from './container/user-namespaces.ts';
import { BY_HOST, type WritableLayers } from './container/writable-layer.ts';
import { ContainerIsolation } from './container-isolation.ts';
import type { LinuxDeps } from './deps.ts';
import { removeFolder } from './files.ts';
import type { HostParts } from './host-parts.ts';
import type { ImageStore } from './image/image-store.ts';
import type { ImageImporter } from './image/import-image.ts';
import { containerPaths } from './layout.ts';
import { namespacePath } from './network/endpoint.ts';
import { NAT, type NatSwitch } from './network/nat-switch.ts';
import { readMountPoints } from './proc.ts';
import type { GuestNetwork } from './vm/utility-vm.ts';
import type { VmContainers } from './vm/vm-containers.ts';
import type { VmPool } from './vm/vm-pool.ts';

const PARALLEL_LOG_READS = 2;

/**
 * A Linux machine as a host. runc runs `Default` containers, and each `HyperV` container runs in its own utility VM. Both types
 * use the same images and the same writable layers.
 *
 * The layers are files on this host (`layout.ts`). This host mounts them for a Default container, and a utility VM gets them as
 * disks. Every verb checks the observed state (mounts, processes, the guest) and records that were written before each action.
 * Therefore every verb can be repeated after a crash.
 */
export class LinuxRuntime implements Runtime {
  readonly name = 'linux';
  readonly #deps: LinuxDeps;
  readonly #facts: HostFacts;
  readonly #records: ContainerRecords;
  readonly #images: ImageStore;
  readonly #importer: ImageImporter;
  readonly #layers: WritableLayers;
  readonly #network: NatSwitch;
  readonly #userNamespaces: UserNamespaces;
  readonly #defaults: DefaultContainers;
  readonly #vms: VmContainers;
  readonly #runs: MainRuns;
  readonly #pool: VmPool;
  readonly #isolation: ContainerIsolation;
  /** Limits log reads to one at a time per container, so that many readers of one container do not slow down others. */
  readonly #logReads = new ExclusiveRunner(PARALLEL_LOG_READS);
  readonly #closeParts: () => void;
  readonly #shutDownParts: () => Promise<void>;

  constructor(deps: LinuxDeps, parts: HostParts) {
    this.#deps = deps;
    this.#facts = parts.facts;
    this.#records = parts.records;
    this.#images = parts.images;
    this.#importer = parts.importer;
    this.#layers = parts.layers;
    this.#network = parts.network;
    this.#userNamespaces = parts.userNamespaces;
    this.#defaults = parts.defaults;
    this.#vms = parts.vms;
    this.#runs = parts.runs;
    this.#pool = parts.pool;
    this.#isolation = new ContainerIsolation(deps, parts);
    this.#closeParts = parts.close;
    this.#shutDownParts = parts.shutDown;
  }

  /** Number of utility VMs in the pool that are ready to be claimed. */
  get readyVms(): number {
    return this.#pool.readyCount;
  }

  async facts(): Promise<HostFacts> {
    return this.#facts;
  }

  async images(): Promise<readonly ImageFacts[]> {
    return (await this.#images.list()).map(({ facts }) => facts);
  }

  async inspect(containerId?: string): Promise<readonly RuntimeContainer[]> {
    const ids = containerId === undefined ? await this.#records.ids() : [containerId];
    const mountPoints = await readMountPoints();
    const found = await Promise.all(ids.map((id) => this.#inspectOne(id, mountPoints)));
    return found.filter((container) => container !== null);
  }

  async createWritableLayer(container: AssignedContainer): Promise<void> {
    if (await this.#layers.exists(container.id)) return;
    const { facts, defaults } = await this.#images.get(container.spec.image);
    // A container without a command is refused when it is created.
    resolveMain(container.spec, defaults);
    const { diskMB } = container.spec.resources;
    try {
      await this.#layers.createFolder(container.id);
      const recorded = this.#records.saveContainer({
        id: container.id,
        runtimeType: container.runtimeType,
        image: facts.name,
        digest: facts.digest,
        diskMB,
        untrustedDisk: false,
      });
      await allSettled([recorded, this.#layers.create(container.id, diskMB, recorded)]);
    } catch (error) {
      await this.removeWritableLayer(container.id);
      throw isFull(error) ? noRoomForLayer(diskMB) : error;
    }
  }

  async setRuntimeType(container: AssignedContainer, acceptUntrustedDisk: boolean): Promise<void> {
    const { id, runtimeType } = container;
    const record = await this.#records.require(id);
    if (record.runtimeType === runtimeType) return;
    refuseUntrustedDisk(record, container, acceptUntrustedDisk);
    // From here on this machine's kernel reads the disk that a guest wrote, so damage must be found first.
    if (runtimeType === 'Default') await this.#layers.check(id);
    await this.#records.saveContainer({ ...record, runtimeType });
  }

  async createUtilityVm(container: AssignedContainer): Promise<void> {
    const { digest } = await this.#records.require(container.id);
    await this.#vms.create(container, this.#images.squashfs(digest));
  }

  connectGuest(containerId: string): Promise<void> {
    return this.#vms.connectGuest(containerId);
  }

  async createNetworkEndpoint({ id, runtimeType, spec }: AssignedContainer): Promise<void> {
    const name = spec.switchName.toLowerCase();
    if (name === NO_SWITCH) return;
    if (name !== NAT.toLowerCase())
      throw new RuntimeError('switch-not-found', `This host has no switch ${spec.switchName}`, {
        suggestion: `Use one of: ${NAT}.`,
      });
    if (runtimeType === 'Default') {
      await this.#network.connect(id, spec, { owner: await this.#userNamespaces.take(id) });
      return;
    }
    const { vm } = this.#vms.require(id);
    const configure = (network: GuestNetwork) => vm.configureNetwork(network);
    await this.#network.connect(id, spec, { vmId: vm.id, configure });
  }

  setNetworkPolicy(containerId: string, policy: ResolvedNetworkPolicy): Promise<void> {
    return this.#network.setPolicy(containerId, policy);
  }

  async attachDisks({ id }: AssignedContainer): Promise<void> {
    const record = await this.#records.require(id);
    const { digest } = record;
    const { vm } = this.#vms.require(id);
    // From here on, code that has compromised the guest can write the raw disk.
    if (vm.record.ranImageCode) await this.#setUntrusted(record, true);
    await this.#layers.attach(id, vm.id, (holder) => this.#isHeld(id, holder));
    await this.#vms.attachDisks(
      id,
      this.#images.squashfs(digest),
      containerPaths(this.#deps.layout, id).scratch,
    );
  }

  async mountLayers({ id, runtimeType }: AssignedContainer, signal: AbortSignal): Promise<void> {
    if (runtimeType === 'HyperV') return this.#vms.mountLayers(id);
    const { digest } = await this.#records.require(id);
    await this.#layers.attach(id, BY_HOST, (holder) => this.#isHeld(id, holder));
    const image = await this.#images.mountable(digest);
    try {
      await this.#defaults.mountLayers(id, image, await this.#userNamespaces.take(id), { signal });
    } catch (error) {
      await this.#releaseIds(id);
      throw error;
    }
  }

  async startProcess(container: AssignedContainer, instanceId: string, signal: AbortSignal): Promise<void> {
    const { id, runtimeType } = container;
    const record = await this.#records.require(id);
    const image = await this.#images.byDigest(record.digest);
    const untrustedDisk = runtimeType === 'HyperV';
    // Without a VM no code can run, so the disk stays trusted.
    if (untrustedDisk) this.#vms.require(id);
    const trustRecorded = this.#setUntrusted(record, untrustedDisk);
    const begun = this.#runs.begin(id, instanceId, runtimeType, async () => {
      await trustRecorded;
      const endpoint = await this.#network.endpoint(id);
      const address = endpoint?.address ?? null;
      if (runtimeType === 'HyperV') return { main: this.#vms.start(container, image, address) };
      const resolver = endpoint === null ? null : this.#network.resolverPath;
      const network = { namespace: endpoint && namespacePath(endpoint), resolver, address };
      const owner = await this.#userNamespaces.take(id);
      return this.#defaults.start(container, image, network, owner, signal);
    });
    await allSettled([trustRecorded, begun]);
  }

  async stopProcess(containerId: string, timeoutSeconds: number, signal: AbortSignal): Promise<void> {
    const { digest } = await this.#records.require(containerId);
    const { stopSignal } = (await this.#images.byDigest(digest)).defaults;
    const options = { timeoutSeconds, stopSignal: stopSignalOf(stopSignal) };
    return this.#runs.stop(containerId, options, signal, (reason) =>
      this.#vms.giveUp(containerId, new RuntimeError('step-failed', reason)),
    );
  }

  async unmountLayers(containerId: string): Promise<void> {
    if (this.#vms.get(containerId)) {
      await this.#vms.unmountLayers(containerId);
      return;
    }
    await this.#defaults.unmountLayers(containerId);
    if ((await this.#layers.holder(containerId)) === BY_HOST) await this.#layers.detach(containerId);
    await this.#releaseIds(containerId);
  }

  async detachDisks(containerId: string): Promise<void> {
    const entry = this.#vms.get(containerId);
    if (!entry) return;
    await this.#vms.detachDisks(containerId);
    // The VM was killed. The lock is kept, so that the disk is checked before the next mount.
    if (this.#vms.get(containerId) !== entry) return;
    // If the guest had the layers mounted, the lock is kept, so that the disk is checked before the next mount.
    if (!entry.layersMounted) await this.#layers.detach(containerId);
  }

  async removeNetworkEndpoint(containerId: string): Promise<void> {
    await this.#network.disconnect(containerId);
    await this.#releaseIds(containerId);
  }

  destroyUtilityVm(containerId: string): Promise<void> {
    return this.#vms.destroy(containerId);
  }

  async removeWritableLayer(containerId: string): Promise<void> {
    const { scratch, folder, run, names, rw, root } = containerPaths(this.#deps.layout, containerId);
    this.#runs.forget(containerId);
    // A recursive removal would delete the files of a file system that is still mounted.
    for (const point of [names, root, rw]) await removeFolder(point);
    await this.#userNamespaces.remove(containerId);
    await rm(scratch, { force: true });
    await rm(folder, { recursive: true, force: true });
    await rm(run, { recursive: true, force: true });
    await this.#collectImages();
  }

  listProcesses(containerId: string): Promise<readonly Process[]> {
    return this.#isolation.listProcesses(containerId);
  }

  listHostProcesses(): Promise<readonly Process[]> {
    return this.#isolation.listHostProcesses();
  }

  isolation(containerId: string): Promise<IsolationReport> {
    return this.#isolation.report(containerId);
  }

  verifyIsolation(containerId: string, signal: AbortSignal): Promise<IsolationVerification> {
    return this.#isolation.verify(containerId, signal);
  }

  async startExec(containerId: string, request: ExecRequest): Promise<SessionProcess> {
    const { digest } = await this.#records.require(containerId);
    const image = await this.#images.byDigest(digest);
    if (this.#vms.get(containerId))
      return openGuestStream(this.#vms.exec(containerId, request, image), this.#deps.clock);
    const main = await this.#runs.requireProcess(containerId);
    return new GuestStream(await this.#defaults.exec(containerId, main, request, image), this.#deps.clock);
  }

  attach(containerId: string, options: AttachOptions): Promise<SessionProcess> {
    return this.#runs.attach(containerId, options);
  }

  async readLog(containerId: string, query: LogQuery): Promise<LogPage> {
    await this.#records.require(containerId);
    const { log } = containerPaths(this.#deps.layout, containerId);
    return this.#logReads.run(containerId, () => readLog(log, query));
  }

  async importImage(request: ImportImage, signal: AbortSignal): Promise<ImageFacts> {
    const facts = await this.#importer.import(request, signal);
    await this.#collectImages();
    return facts;
  }

  async removeImage(name: string): Promise<void> {
    const { facts } = await this.#images.get(name);
    const users = await this.#records.madeFrom(facts.digest);
    if (users > 0)
      throw new RuntimeError('image-in-use', `${users} container(s) on this host use ${facts.name}`);
    await this.#images.remove(name);
    await this.#collectImages();
  }

  async #collectImages(): Promise<void> {
    const removed = await this.#images.collect(async (digest) => (await this.#records.madeFrom(digest)) > 0);
    await this.#pool.forgetImages(removed);
  }

  onExit(listener: (containerId: string) => void): void {
    this.#runs.onExit(listener);
  }

  close(): void {
    this.#release();
    this.#closeParts();
  }

  /** Closes the runtime and removes the resources that no container uses: the pool, mounted images, machine-wide resources. */
  async shutDown(): Promise<void> {
    this.#release();
    await this.#shutDownParts();
  }

  #release(): void {
    this.#runs.close();
    this.#vms.close();
  }

  async #inspectOne(id: string, mountPoints: ReadonlySet<string>): Promise<RuntimeContainer | null> {
    const record = await this.#records.container(id);
    if (record === null) return null;
    const entry = this.#vms.get(id);
    const process = await this.#runs.inspect(id);
    const endpoint = await this.#network.endpoint(id);
    return {
      id,
      runtimeType: record.runtimeType,
      writableLayer: await this.#layers.exists(id),
      untrustedDisk: record.untrustedDisk,
      utilityVm: this.#vms.stateOf(id, process?.running ?? false),
      networkEndpoint: endpoint !== null,
      ports: endpoint?.ports ?? [],
      ...(endpoint && { address: endpoint.address }),
      disksAttached: entry?.disksAttached ?? false,
      layersMounted: entry?.layersMounted || mountPoints.has(containerPaths(this.#deps.layout, id).root),
      process,
      workerProcess: this.#vms.workerProcess(id),
    };
  }

  /** Removes the user namespace once nothing uses it. */
  async #releaseIds(id: string): Promise<void> {
    const isMounted = (await readMountPoints()).has(containerPaths(this.#deps.layout, id).root);
    if (!isMounted && (await this.#network.endpoint(id)) === null) await this.#userNamespaces.remove(id);
  }

  /** Whether the holder of a layer's attach lock still uses the layer. */
  async #isHeld(id: string, holder: string): Promise<boolean> {
    if (holder !== BY_HOST) {
      const entry = this.#vms.get(id);
      return entry?.vm.id === holder && entry.disksAttached;
    }
    return (await readMountPoints()).has(containerPaths(this.#deps.layout, id).rw);
  }

  async #setUntrusted(record: ContainerRecord, untrustedDisk: boolean): Promise<void> {
    if (record.untrustedDisk !== untrustedDisk)
      await this.#records.saveContainer({ ...record, untrustedDisk });
  }
}
