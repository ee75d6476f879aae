import { availableParallelism } from 'node:os';
import type { AssignedContainer } from '../../../../core/contract/agent/commands.ts';
import type { Process, WorkerProcess } from '../../../../core/contract/compute-process.ts';
import type { ContainerSpec } from '../../../../core/contract/container.ts';
import { messageOf, RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import { hostNameOf, hostsFile } from '../../host-name.ts';
import type { RuntimeContainer } from '../../runtime.ts';
import type { ExecRequest } from '../../session-process.ts';
import { limitOf, readLimits, WORKER } from '../cgroups.ts';
import type { GuestGreeting } from '../channel/guest-channel.ts';
import type { GuestProcess } from '../channel/guest-process.ts';
import { PIDS_LIMIT, resolveMain, resolveProcess } from '../container/oci-config.ts';
import { parseGuestProcesses } from '../container/process-lists.ts';
import type { LinuxDeps } from '../deps.ts';
import type { ImageRecord } from '../image/image-record.ts';
import { readStat } from '../proc.ts';
import { MASK_FIELDS, processFields } from './guest-fields.ts';
import { guestLine } from './guest-text.ts';
import type { WatchedVm } from './idle-memory.ts';
import type { HostMachine } from './machine.ts';
import { type Accelerator, GUEST_OVERHEAD_MB, type VmShape } from './qemu-arguments.ts';
import type { Templates } from './templates.ts';
import { UtilityVm } from './utility-vm.ts';
import type { VmPool } from './vm-pool.ts';
import { launchWorker, listWorkerIds, readWorker, removeWorker } from './worker.ts';

const RAM_STEP_MB = 64;
const BOOT_TIMEOUT_MS = 30_000;
/** Time limit for QEMU, and again for the guest, to answer an agent that has restarted. */
export const ADOPT_TIMEOUT_MS = 5_000;

/** The shape of a VM for a container with those resources. */
export const shapeFor = (
  { memoryMB, cpus }: Pick<ContainerSpec['resources'], 'memoryMB' | 'cpus'>,
  accelerator: Accelerator,
): VmShape => ({
  ramMB: Math.ceil((memoryMB + GUEST_OVERHEAD_MB) / RAM_STEP_MB) * RAM_STEP_MB,
  cpus: Math.max(1, Math.min(Math.ceil(cpus), availableParallelism())),
  accelerator,
});

/** Memory that the guest's kernel uses: a share for its tables of pages, and a fixed amount. Measured with VMs of 128 MiB to 2 GiB. */
const KERNEL_SHARE = 0.03;
const KERNEL_MB = 74;

/**
 * The limit of the container's memory in its VM, in MiB. It is what is configured, or a few percent less above 1 GiB: the limit
 * must be reached before the memory of the VM is exhausted.
 */
const memoryLimitMB = (memoryMB: number, { ramMB }: VmShape): number =>
  Math.min(memoryMB, Math.floor(ramMB * (1 - KERNEL_SHARE)) - KERNEL_MB);

type Begin = 'boot' | 'clone' | 'connected';

/** Delay between a start and the refill of the pool, so that the refill does not slow down the start. */
const REFILL_MS = 300;

interface Entry {
  readonly vm: UtilityVm;
  begin: Begin;
  disksAttached: boolean;
  layersMounted: boolean;
  main: GuestProcess | null;
  /** Number of processes that were started beside the main process. */
  requests: number;
  /** Whether the end of the guest's connection is watched. */
  watched: boolean;
}

interface VmContainersDeps {
  readonly deps: LinuxDeps;
  readonly machine: HostMachine;
  readonly templates: Templates;
  readonly pool: VmPool;
  readonly accelerator: Accelerator;
  readonly useTemplates: boolean;
  /** Called after a container's VM has ended unexpectedly and its resources are removed. */
  readonly onDeath: (containerId: string, reason: string) => Promise<void>;
}

/** The state of the container in an adopted VM. */
interface Adopted {
  readonly containerId: string;
  readonly greeting: GuestGreeting;
  readonly main: GuestProcess | null;
}

/** The utility VMs of this host's containers. A container has at most one VM, and a VM serves only one container. */
export class VmContainers {
  readonly #with: VmContainersDeps;
  readonly #entries = new Map<string, Entry>();
  /** VMs that are being killed, until their end is recorded. */
  readonly #ending = new Map<string, Promise<void>>();

  constructor(dependencies: VmContainersDeps) {
    this.#with = dependencies;
  }

  get(containerId: string): Entry | null {
    return this.#entries.get(containerId) ?? null;
  }

  stateOf(containerId: string, mainRuns: boolean): RuntimeContainer['utilityVm'] {
    const entry = this.get(containerId);
    if (entry === null) return 'Absent';
    if (entry.main !== null && !mainRuns) return 'Spent';
    return entry.vm.connected && entry.watched ? 'Connected' : 'Created';
  }

  /**
   * Claims a suitable VM from the pool, or else clones one. Without a template the VM boots, and a template is created for the
   * next start.
   * @param image path of the container's squashfs
   */
  async create(container: AssignedContainer, image: string): Promise<void> {
    if (this.#entries.has(container.id)) return;
    const { pool, templates, accelerator, useTemplates } = this.#with;
    const shape = shapeFor(container.spec.resources, accelerator);
    const pooled = pool.claim(shape, image);
    if (pooled) {
      await this.#give(pooled, container, 'connected');
      return;
    }
    const cloned = useTemplates && templates.has(shape);
    if (useTemplates && !cloned) templates.request(shape);
    const vm = await this.#launch(container, shape, cloned);
    await this.#give(vm, container, cloned ? 'clone' : 'boot');
  }

  async connectGuest(containerId: string): Promise<void> {
    const entry = this.require(containerId);
    if (entry.watched) return;
    if (entry.begin !== 'connected') await entry.vm.connectGuest(entry.begin, BOOT_TIMEOUT_MS);
    else if (!entry.vm.connected)
      throw new RuntimeError('step-failed', 'The connection to the guest has ended');
    entry.begin = 'connected';
    await entry.vm.wake();
    this.#watch(containerId, entry);
  }

  async attachDisks(containerId: string, image: string, scratch: string): Promise<void> {
    const entry = this.require(containerId);
    if (entry.disksAttached) return;
    await entry.vm.attachDisks(image, scratch);
    entry.disksAttached = true;
  }

  async detachDisks(containerId: string): Promise<void> {
    const entry = this.require(containerId);
    if (!entry.disksAttached) return;
    if (await this.#succeeds(containerId, entry.vm.detachDisks())) entry.disksAttached = false;
  }

  async mountLayers(containerId: string): Promise<void> {
    const entry = this.require(containerId);
    await entry.vm.mountLayers();
    entry.layersMounted = true;
  }

  async unmountLayers(containerId: string): Promise<void> {
    const entry = this.require(containerId);
    if (!entry.layersMounted) return;
    if (await this.#succeeds(containerId, entry.vm.unmountLayers())) entry.layersMounted = false;
  }

  /** Kills a VM whose guest does not respond as required. Resolves once the end of the VM is recorded. */
  giveUp(containerId: string, reason: unknown): Promise<void> {
    const entry = this.#entries.get(containerId);
    if (!entry) return this.#ending.get(containerId) ?? Promise.resolve();
    this.#entries.delete(containerId);
    const ending = this.#end(containerId, entry, reason).finally(() => this.#ending.delete(containerId));
    this.#ending.set(containerId, ending);
    return ending;
  }

  async #end(containerId: string, entry: Entry, reason: unknown): Promise<void> {
    const ended = await entry.vm.explain('The utility VM ended', reason);
    await entry.vm.destroy();
    await this.#with.onDeath(containerId, ended.message);
    void this.#with.pool.refill();
  }

  /** Awaits a step of a container's removal. If it fails, the VM is killed, because a guest must not prevent its removal. */
  async #succeeds(containerId: string, step: Promise<void>): Promise<boolean> {
    try {
      await step;
      return true;
    } catch (error) {
      this.#with.deps.log.warn('killing a utility VM', { containerId, reason: messageOf(error) });
      await this.giveUp(containerId, error);
      return false;
    }
  }

  /** @param address of its network endpoint; null without a network */
  start(container: AssignedContainer, image: ImageRecord, address: string | null): GuestProcess {
    const { id, spec } = container;
    const shape = shapeFor(spec.resources, this.#with.accelerator);
    const entry = this.require(id);
    const main = entry.vm.startMain([
      ...processFields(resolveMain(spec, image.defaults)),
      ['hostname', hostNameOf(id)],
      ['hosts', hostsFile(container, address)],
      ['memory', String(memoryLimitMB(spec.resources.memoryMB, shape) * MIB)],
      ['pids', String(PIDS_LIMIT)],
      ...MASK_FIELDS,
      ...(spec.tty ? [['tty', '1'] as const] : []),
    ]);
    if (spec.stdin === false && !spec.tty) main.endInput();
    entry.main = main;
    // Delayed, because the creation of a VM would slow down this start.
    this.#with.deps.clock.after(REFILL_MS, () => void this.#with.pool.refill());
    return main;
  }

  exec(containerId: string, request: ExecRequest, image: ImageRecord): GuestProcess {
    const wanted = resolveProcess(request, image.defaults);
    return this.#startBeside(containerId, [
      ...processFields(wanted),
      ...(request.tty
        ? ([
            ['tty', '1'],
            ['columns', String(request.columns ?? 80)],
            ['rows', String(request.rows ?? 24)],
          ] as const)
        : []),
    ]);
  }

  /** Starts the probe (`agent/probe`), which is part of the guest's init, in the container. */
  probe(containerId: string, args: readonly string[]): GuestProcess {
    const command = ['init', 'probe', ...args];
    return this.#startBeside(containerId, [
      ...processFields({ command, env: [], workingDir: '/', user: '0' }),
      ['probe', '1'],
    ]);
  }

  #startBeside(containerId: string, fields: readonly (readonly [string, string])[]): GuestProcess {
    const entry = this.require(containerId);
    entry.requests += 1;
    return entry.vm.startProcess(fields);
  }

  /** The VMs whose main process has started. */
  started(): WatchedVm[] {
    return [...this.#entries.values()].flatMap(({ vm, main, requests }) =>
      main && vm.record.process ? { id: vm.id, worker: vm.record.process, requests } : [],
    );
  }

  /** Reads the limits of the container in the guest, and of the VM. */
  async limits(containerId: string) {
    const { vm } = this.require(containerId);
    const answer = await vm.askFor('limits', 'The guest’s limits could not be read');
    const [memory = '', processes = ''] = guestLine(answer).split('\t');
    const { processor } = await readLimits(this.#with.deps.layout.tag, `${WORKER}${vm.id}`);
    return { memory: limitOf(memory, 'bytes'), processes: limitOf(processes, 'processes'), processor };
  }

  async listProcesses(containerId: string): Promise<Process[]> {
    const { vm } = this.require(containerId);
    const answer = await vm.askFor('processes', 'The guest’s processes could not be listed');
    const uptime = await this.#guestUptime(vm);
    return parseGuestProcesses(answer.toString('utf8'), this.#with.deps.clock.now(), uptime);
  }

  async kernelRelease(containerId: string): Promise<string> {
    const answer = await this.require(containerId).vm.askFor(
      'uname',
      'The guest’s kernel release could not be read',
    );
    return guestLine(answer).split('\t')[0] ?? '';
  }

  /** The worker process. Its user is named after the VM's id in upper case. */
  workerProcess(containerId: string): WorkerProcess | null {
    const worker = this.#entries.get(containerId)?.vm.record.process;
    if (!worker) return null;
    return { pid: worker.pid, name: readStat(worker.pid)?.name ?? '', userName: containerId.toUpperCase() };
  }

  /** Uids of worker processes with their user names. */
  workerUsers(): (readonly [uid: number, name: string])[] {
    return [...this.#entries].map(([id, { vm }]) => [vm.record.uid, id.toUpperCase()] as const);
  }

  async destroy(containerId: string): Promise<void> {
    const entry = this.#entries.get(containerId);
    if (!entry) return;
    // Removed from the map first, so that this end does not count as unexpected.
    this.#entries.delete(containerId);
    await entry.vm.destroy();
    void this.#with.pool.refill();
  }

  /**
   * After a restart: connects to the VMs of containers, and removes all other VMs.
   * @returns the containers whose VM continues, and those whose VM has ended
   */
  async recover(): Promise<{ adopted: Adopted[]; lost: string[] }> {
    const { deps } = this.#with;
    const adopted: Adopted[] = [];
    const lost: string[] = [];
    const recoverOne = async (vmId: string) => {
      const record = await readWorker(deps, vmId);
      const containerId = record?.containerId ?? null;
      const again = record !== null && containerId !== null ? await this.#adopt(containerId, vmId) : null;
      if (again) adopted.push(again);
      else {
        await removeWorker(deps, vmId);
        if (containerId !== null) lost.push(containerId);
      }
    };
    // All at once, because a guest that does not answer takes its whole time limit.
    await Promise.all((await listWorkerIds(deps)).map(recoverOne));
    return { adopted, lost };
  }

  /** Releases all VMs, which continue. */
  close(): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { vm } of entries) vm.close();
  }

  async #adopt(containerId: string, vmId: string): Promise<Adopted | null> {
    const { deps } = this.#with;
    try {
      const record = await readWorker(deps, vmId);
      if (record === null) return null;
      const vm = await UtilityVm.attach(deps, record, ADOPT_TIMEOUT_MS);
      const greeting = await vm.connectGuest('reconnect', ADOPT_TIMEOUT_MS);
      const main = greeting.main === 'never-started' ? null : vm.adoptMain();
      const entry: Entry = {
        vm,
        begin: 'connected',
        disksAttached: greeting.layersMounted || (await vm.hasDisks()),
        layersMounted: greeting.layersMounted,
        main,
        requests: 0,
        watched: false,
      };
      this.#entries.set(containerId, entry);
      this.#watch(containerId, entry);
      return { containerId, greeting, main };
    } catch (error) {
      deps.log.warn('could not adopt a utility VM', { containerId, reason: messageOf(error) });
      return null;
    }
  }

  async #launch(container: AssignedContainer, shape: VmShape, cloned: boolean): Promise<UtilityVm> {
    const { deps, templates, machine } = this.#with;
    const launch = { vmId: deps.newId(), containerId: container.id, shape };
    const worker = cloned
      ? await templates.use(shape, (template) =>
          launchWorker(deps, { ...launch, start: { kind: 'clone' }, template }),
        )
      : await launchWorker(deps, {
          ...launch,
          start: { kind: 'boot', tscKhz: machine.tscKhz },
        });
    return UtilityVm.attach(deps, worker).catch(async (error) => {
      await removeWorker(deps, worker.vmId);
      throw error;
    });
  }

  async #give(vm: UtilityVm, container: AssignedContainer, begin: Begin): Promise<void> {
    this.#entries.set(container.id, {
      vm,
      begin,
      disksAttached: false,
      layersMounted: false,
      main: null,
      requests: 0,
      watched: false,
    });
    try {
      await vm.claim(container.id, container.spec.resources.cpus);
    } catch (error) {
      await this.destroy(container.id);
      throw error;
    }
  }

  /** A guest whose connection ends is killed, whether it crashed or violated the protocol. */
  #watch(containerId: string, entry: Entry): void {
    entry.watched = true;
    void entry.vm.ended().then((reason) => {
      if (this.#entries.get(containerId) === entry) return this.giveUp(containerId, reason);
    });
  }

  async #guestUptime(vm: UtilityVm): Promise<number> {
    const answer = await vm.askFor('uptime', 'The guest’s uptime could not be read');
    return Number(guestLine(answer)) || 0;
  }

  /** @throws {RuntimeError} `invalid-state` */
  require(containerId: string): Entry {
    const entry = this.#entries.get(containerId);
    if (entry) return entry;
    throw new RuntimeError('invalid-state', 'The container has no utility VM');
  }
}
