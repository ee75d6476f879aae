import { chown, rm } from 'node:fs/promises';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import { limitWorker } from '../cgroups.ts';
import { GuestChannel, type GuestGreeting, LONG_ANSWER_TIMEOUT_MS } from '../channel/guest-channel.ts';
import type { GuestProcess } from '../channel/guest-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { replaceLink, writeRecord } from '../files.ts';
import { vmPaths } from '../layout.ts';
import { setProcessPriority } from '../proc.ts';
import { ConsoleTail } from './console-tail.ts';
import { diskNode, emptyNode, WORKER_OVERHEAD_MB } from './qemu-arguments.ts';
import { Qmp } from './qmp.ts';
import { connectTo, isWorkerAlive, removeWorker, STATE_URI, workerErrors } from './worker.ts';
import { WorkerFormat, type WorkerRecord } from './worker-record.ts';

const NodesSchema = z.array(z.looseObject({ 'node-name': z.optional(z.string()) }));
const ENTROPY_BYTES = 32;
const ERRNO_LIMIT = 4096;
/** QEMU allows at most 31 characters, including the prefix. */
const NODE_ID_LENGTH = 18;
/** A writable layer keeps the space that was allocated for it: the guest cannot give it back to the host. */
const blockMode = (readOnly: boolean) => ({ 'read-only': readOnly, discard: 'ignore' });

export interface GuestNetwork {
  readonly mac: string;
  readonly address: string;
  readonly gateway: string;
  /** The text of resolv.conf. */
  readonly resolver: string;
}

/**
 * One utility VM with a running worker process.
 *
 * Lifecycle: worker launched → `attach` (QMP, console, and for a clone its state) → `connectGuest` → disks,
 * network, layers, processes → `destroy`. The listener of `ended` kills a VM whose connection
 * ends, because a guest that violates the protocol must not continue.
 */
export class UtilityVm {
  readonly #deps: LinuxDeps;
  readonly #qmp: Qmp;
  readonly #console: ConsoleTail;
  #record: WorkerRecord;
  #channel: GuestChannel | null = null;
  /** The image on the first disk; null while it is empty. */
  #image: string | null = null;

  /** @param timeoutMs time limit for QEMU's first answer. Default: the limit for later answers */
  static async attach(deps: LinuxDeps, record: WorkerRecord, timeoutMs?: number): Promise<UtilityVm> {
    const paths = vmPaths(deps.layout, record.vmId);
    const [console, qmp] = await Promise.all([connectTo(paths.console), connectTo(paths.qmp)]);
    const tail = new ConsoleTail(console, deps.clock);
    return new UtilityVm(deps, record, tail, await Qmp.open(qmp, deps.clock, timeoutMs));
  }

  private constructor(deps: LinuxDeps, record: WorkerRecord, console: ConsoleTail, qmp: Qmp) {
    this.#deps = deps;
    this.#record = record;
    this.#console = console;
    this.#qmp = qmp;
  }

  get id(): string {
    return this.#record.vmId;
  }
  get record(): WorkerRecord {
    return this.#record;
  }
  get alive(): boolean {
    return isWorkerAlive(this.#record);
  }
  get connected(): boolean {
    return this.#channel !== null;
  }
  get qmp(): Qmp {
    return this.#qmp;
  }

  /**
   * Connects to the guest agent.
   * @param how `clone`: restores the template's state first; `reconnect`: an earlier agent was connected
   */
  async connectGuest(how: 'boot' | 'clone' | 'reconnect', timeoutMs: number): Promise<GuestGreeting> {
    const socket = await connectTo(vmPaths(this.#deps.layout, this.id).channel);
    if (how === 'clone') await this.#restore();
    const open = GuestChannel.open(socket, this.#deps, { timeoutMs, isReconnect: how === 'reconnect' });
    const { channel, greeting } = await open.catch(async (error) => {
      throw await this.explain('The guest did not answer', error);
    });
    this.#channel = channel;
    void channel.closed.then(() => {
      this.#channel = null;
    });
    return greeting;
  }

  /** Resolves with the reason when the connection to the guest has ended; immediately if there is none. */
  async ended(): Promise<Error> {
    return this.#channel?.closed ?? new RuntimeError('step-failed', 'The guest is not connected');
  }

  /** Records that image code may run in the VM from now on. */
  async expectImageCode(): Promise<void> {
    this.#record = { ...this.#record, ranImageCode: true };
    await this.#saveRecord();
  }

  /** Assigns the VM to the container permanently. */
  async claim(containerId: string, cpus: number): Promise<void> {
    if (this.#record.containerId !== null && this.#record.containerId !== containerId)
      throw new RuntimeError('internal', 'A utility VM cannot be assigned to a second container');
    this.#record = { ...this.#record, containerId };
    await this.#saveRecord();
    await limitWorker(this.#deps.layout.tag, this.id, {
      memoryBytes: (this.#record.ramMB + WORKER_OVERHEAD_MB) * MIB,
      cpus,
    });
    if (this.#record.process) setProcessPriority(this.#record.process.pid, 0);
  }

  /** Sets the guest's clock and random state, which a clone has from its template. */
  wake(): Promise<void> {
    const now = this.#deps.clock.now().getTime();
    const fields = [
      ['seconds', String(Math.floor(now / 1000))],
      ['nanoseconds', String((now % 1000) * 1_000_000)],
      ['entropy', this.#deps.randomBytes(ENTROPY_BYTES).toString('hex')],
    ] as const;
    return this.ask(
      'wake',
      'The guest’s clock and random state could not be set',
      fields,
      LONG_ANSWER_TIMEOUT_MS,
    );
  }

  /**
   * Attaches a container's files to the two disks. An image that the guest has already mounted is not replaced.
   * @param image path of the squashfs
   * @param scratch path of the writable layer, whose owner becomes the worker's user
   */
  async attachDisks(image: string, scratch: string): Promise<void> {
    const paths = vmPaths(this.#deps.layout, this.id);
    if (this.#image !== null && this.#image !== image) await this.unmountLayers();
    await Promise.all([this.attachImage(image), replaceLink(scratch, paths.scratch)]);
    await chown(paths.scratch, this.#record.uid, this.#record.uid);
    await this.#putBehind(1, '/disks/scratch.ext4', false);
  }

  /** Attaches an image to the first disk, from which the guest has nothing mounted. */
  async attachImage(image: string): Promise<void> {
    if (this.#image === image) return;
    await replaceLink(image, vmPaths(this.#deps.layout, this.id).image);
    await this.#putBehind(0, '/disks/image.squashfs', true);
    this.#image = image;
  }

  /** Attaches the files for a rehearsal: the layer, and the image if there is none. */
  async attachPlaceholders(): Promise<void> {
    if (this.#image === null) await this.#putBehind(0, '/disks/placeholder.squashfs', true);
    await this.#putBehind(1, '/disks/placeholder.ext4', false);
  }

  /** Detaches the layer of a rehearsal, which the guest has unmounted. */
  async detachPlaceholder(): Promise<void> {
    await this.#reopen(1, emptyNode(1), false);
    await this.#closeOthers();
  }

  /** Whether any file of a container is attached to the disks. */
  async hasDisks(): Promise<boolean> {
    return (await this.#files()).length > 0;
  }

  async detachDisks(): Promise<void> {
    const paths = vmPaths(this.#deps.layout, this.id);
    if (this.alive) {
      await this.#reopen(0, emptyNode(0), true);
      await this.#reopen(1, emptyNode(1), false);
      await this.#closeOthers();
      this.#image = null;
    }
    await chown(paths.scratch, 0, 0).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await Promise.all([rm(paths.image, { force: true }), rm(paths.scratch, { force: true })]);
  }

  mountLayers(): Promise<void> {
    return this.ask(
      'mount-layers',
      'The layers could not be mounted in the guest',
      [],
      LONG_ANSWER_TIMEOUT_MS,
    );
  }
  /** @param keepImage leaves the image mounted, so that the guest's page cache keeps it */
  unmountLayers({ keepImage = false } = {}): Promise<void> {
    return this.ask(
      'unmount-layers',
      'The layers could not be unmounted in the guest',
      keepImage ? [['keep-image', '1']] : [],
      LONG_ANSWER_TIMEOUT_MS,
    );
  }
  /** Binds the guest's network device to its driver and configures it. */
  configureNetwork(network: GuestNetwork): Promise<void> {
    return this.ask('network', 'The network could not be set up in the guest', Object.entries(network));
  }
  /** Unbinds the network device, so that a container without a network has no device. */
  removeNetwork(): Promise<void> {
    return this.ask('no-network', 'The guest’s network device could not be removed');
  }

  /** Sends a request to the guest agent. Rejects if the answer is an error. */
  async ask(
    request: string,
    what: string,
    fields: readonly (readonly [string, string])[] = [],
    timeoutMs?: number,
  ): Promise<void> {
    await this.askFor(request, what, fields, timeoutMs);
  }

  async askFor(
    request: string,
    what: string,
    fields: readonly (readonly [string, string])[] = [],
    timeoutMs?: number,
  ): Promise<Buffer> {
    const answer = await this.#guest()
      .request(request, fields, timeoutMs)
      .catch(async (error) => {
        throw await this.explain(what, error);
      });
    if (answer.result === 0) return answer.data;
    const errno = -answer.result;
    throw await this.explain(
      what,
      new RuntimeError('step-failed', `errno ${errno < ERRNO_LIMIT ? errno : 'unknown'}`),
    );
  }

  startMain(fields: readonly (readonly [string, string])[]): GuestProcess {
    return this.#guest().startMain(fields);
  }
  adoptMain(): GuestProcess {
    return this.#guest().adoptMain();
  }
  startProcess(fields: readonly (readonly [string, string])[]): GuestProcess {
    return this.#guest().startProcess(fields);
  }

  /** Kills the worker and removes all resources of the VM. */
  async destroy(): Promise<void> {
    this.close();
    await removeWorker(this.#deps, this.id);
  }

  /** Closes the connections; the VM continues. */
  close(): void {
    this.#channel?.close();
    this.#qmp.close();
    this.#console.close();
  }

  /** Creates an error with the last messages of QEMU and the guest's console. */
  async explain(what: string, cause: unknown): Promise<RuntimeError> {
    const said = [await workerErrors(this.#deps, this.id), this.#console.text]
      .filter((text) => text !== '')
      .join('\n');
    const message = cause instanceof Error ? cause.message : String(cause);
    return new RuntimeError(
      'step-failed',
      `${what}: ${message}${said ? `\nThe VM's console:\n${said}` : ''}`,
      { cause },
    );
  }

  #saveRecord(): Promise<void> {
    return writeRecord(vmPaths(this.#deps.layout, this.id).record, WorkerFormat, this.#record);
  }

  #guest(): GuestChannel {
    if (this.#channel === null) throw new RuntimeError('step-failed', 'The guest is not connected');
    return this.#channel;
  }

  async #restore(): Promise<void> {
    await this.#qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'x-ignore-shared', state: true }],
    });
    await this.#qmp.execute('migrate-incoming', { uri: STATE_URI });
  }

  /** Uses new node names each time, because a restarted agent does not know the earlier names. */
  async #putBehind(index: number, filename: string, readOnly: boolean): Promise<void> {
    const node = `file-${this.#deps.newId().slice(0, NODE_ID_LENGTH)}`;
    await this.#qmp.execute('blockdev-add', {
      driver: 'file',
      'node-name': node,
      filename,
      ...blockMode(readOnly),
    });
    await this.#reopen(index, node, readOnly);
  }

  async #reopen(index: number, file: string, readOnly: boolean): Promise<void> {
    await this.#qmp.execute('blockdev-reopen', {
      options: [{ driver: 'raw', 'node-name': diskNode(index), file, ...blockMode(readOnly) }],
    });
  }

  /** Closes a container's files that are no longer attached to a disk. QEMU refuses to close attached files. */
  async #closeOthers(): Promise<void> {
    for (const name of await this.#files())
      await this.#qmp.execute('blockdev-del', { 'node-name': name }).catch(() => {});
  }

  async #files(): Promise<string[]> {
    const nodes = z.parse(NodesSchema, await this.#qmp.execute('query-named-block-nodes', { flat: true }));
    return nodes.map((node) => node['node-name'] ?? '').filter((name) => name.startsWith('file-'));
  }
}
