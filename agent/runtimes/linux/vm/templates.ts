import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../../clock.ts';
import { messageOf, RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import type { LinuxDeps } from '../deps.ts';
import { vmPaths } from '../layout.ts';
import { runOrFail } from '../run-command.ts';
import { withBackgroundVm } from './background-vm.ts';
import { KeptTemplates, MAX_TEMPLATE_RAM_MB, type TemplateLimits } from './kept-templates.ts';
import { type HostMachine, templateKey } from './machine.ts';
import type { VmShape } from './qemu-arguments.ts';
import { rehearse } from './rehearsal.ts';
import { listenForState, STATE_SOCKET_IN_JAIL } from './state-socket.ts';
import type { UtilityVm } from './utility-vm.ts';
import type { Placeholders } from './worker.ts';

/** A booted and rehearsed VM to clone: sealed memory, and the state of the devices. */
interface Template {
  readonly shape: VmShape;
  /** The path where another process can open the sealed memory. */
  readonly ram: string;
  readonly state: string;
}

const BOOT_TIMEOUT_MS = 20_000;
const MIGRATION_POLL_MS = 3;
/** In memory, so that it is fast and the kernel never writes it to a disk. */
const MEMORY_FOLDER = '/dev/shm';

/**
 * The host's templates, one for each shape of VM. They are stored on the disk, keyed by all their inputs, so that a restarted
 * agent need not boot them. A helper process holds their sealed memory and ends with this process. Running clones need neither,
 * so a template can be removed at any time.
 *
 * Number and size are limited (`KeptTemplates`), and their memory is not part of the capacity. Templates are created one at a
 * time.
 */
export class Templates {
  readonly #deps: LinuxDeps;
  readonly #machine: HostMachine;
  readonly #placeholders: Placeholders;
  readonly #ready = new Map<string, Promise<Template>>();
  readonly #kept: KeptTemplates;
  readonly #holders = new Map<string, ChildProcess>();
  /** Number of clones that are being launched, by the template's key. */
  readonly #uses = new Map<string, number>();
  #making: Promise<unknown> = Promise.resolve();
  #requested: VmShape | null = null;
  #requests: Promise<void> | null = null;
  readonly #stop = new AbortController();

  constructor(deps: LinuxDeps, machine: HostMachine, placeholders: Placeholders, limits: TemplateLimits) {
    this.#deps = deps;
    this.#kept = new KeptTemplates(deps.layout.templates, limits);
    this.#machine = machine;
    this.#placeholders = placeholders;
  }

  /** Creates the template of that shape if it does not exist. */
  async prepare(shape: VmShape): Promise<void> {
    await this.use(shape, async () => undefined);
  }

  /**
   * Creates a template in the background. While another is being created, only the newest request waits, so that containers of
   * many shapes don't keep the machine busy.
   */
  request(shape: VmShape): void {
    if (shape.ramMB > MAX_TEMPLATE_RAM_MB) return;
    this.#requested = shape;
    this.#requests ??= this.#makeRequested().finally(() => {
      this.#requests = null;
    });
  }

  /** Calls `act` with the template of that shape, which is created if necessary and not removed until `act` has ended. */
  async use<T>(shape: VmShape, act: (template: Template) => Promise<T>): Promise<T> {
    const key = this.#keyOf(shape);
    this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
    try {
      const template = await this.#get(key, shape);
      await this.#kept.used(key, this.#deps.clock.now());
      return await act(template);
    } finally {
      const left = (this.#uses.get(key) ?? 1) - 1;
      if (left > 0) this.#uses.set(key, left);
      else this.#uses.delete(key);
    }
  }

  #get(key: string, shape: VmShape): Promise<Template> {
    // A template is a cache: its folder can be deleted, and the process that holds its memory can be killed.
    if (this.#holders.has(key) && !existsSync(join(this.#deps.layout.templates, key))) this.#release(key);
    const known = this.#ready.get(key);
    if (known) return known;
    const made = this.#obtain(key, shape);
    this.#ready.set(key, made);
    // The next caller retries.
    made.catch(() => this.#ready.delete(key));
    return made;
  }

  async #makeRequested(): Promise<void> {
    while (this.#requested !== null && !this.#stop.signal.aborted) {
      const shape = this.#requested;
      this.#requested = null;
      await this.prepare(shape).catch((error: unknown) =>
        this.#deps.log.warn('could not create a template', { reason: messageOf(error) }),
      );
    }
  }

  #keyOf(shape: VmShape): string {
    return templateKey(this.#machine, this.#deps.artifacts, shape);
  }

  /** Whether a clone of that shape would have to wait for a template to be booted. */
  has(shape: VmShape): boolean {
    return existsSync(join(this.#deps.layout.templates, this.#keyOf(shape)));
  }

  /** Cancels the template that is being created. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#ready.values());
    await this.#requests;
    for (const key of [...this.#holders.keys()]) this.#release(key);
  }

  async #obtain(key: string, shape: VmShape): Promise<Template> {
    const folder = join(this.#deps.layout.templates, key);
    if (!(await isComplete(folder, shape))) await this.#makeInTurn(folder, shape);
    const ram = await this.#hold(key, join(folder, 'ram'));
    await this.#kept.trim(
      (other) => this.#uses.has(other),
      (other) => this.#release(other),
    );
    return { shape, ram, state: join(folder, 'state') };
  }

  async #makeInTurn(folder: string, shape: VmShape): Promise<void> {
    const turn = this.#making.then(async () => {
      this.#stop.signal.throwIfAborted();
      await this.#make(folder, shape);
    });
    this.#making = turn.catch(() => undefined);
    await turn;
  }

  /** Ends the process that holds the memory of a template, which releases it. */
  #release(key: string): void {
    this.#ready.delete(key);
    this.#holders.get(key)?.stdin?.end();
    this.#holders.delete(key);
  }

  /** Boots the VM with its memory in a file, rehearses a start in it, and saves it. */
  async #make(folder: string, shape: VmShape): Promise<void> {
    const began = this.#deps.clock.monotonicMs();
    const disks = await mkdtemp(join(MEMORY_FOLDER, 'bulkhead-template-'));
    const fresh = `${folder}.${this.#deps.newId()}`;
    const vmId = this.#deps.newId();
    try {
      await mkdir(fresh, { recursive: true, mode: 0o700 });
      const placeholders = await this.#copyPlaceholders(disks);
      const start = { kind: 'template', tscKhz: this.#machine.tscKhz } as const;
      await writeFile(join(disks, 'ram'), '', { mode: 0o666 });
      await chmod(join(disks, 'ram'), 0o666);
      const launch = { vmId, containerId: null, shape, start, disks, placeholders };
      await withBackgroundVm(this.#deps, launch, {
        signal: this.#stop.signal,
        use: async (vm) => {
          await vm.connectGuest('boot', BOOT_TIMEOUT_MS);
          await rehearse(vm);
          // Each clone mounts its own image from the disk.
          await vm.unmountLayers();
          await this.#save(vm, join(fresh, 'state'));
          await vm.destroy();
        },
      });
      await copySparse(join(disks, 'ram'), join(fresh, 'ram'));
      // A damaged template, from a power failure.
      await rm(folder, { recursive: true, force: true });
      await rename(fresh, folder);
      await this.#removeOthers(folder);
    } finally {
      await rm(disks, { recursive: true, force: true });
      await rm(fresh, { recursive: true, force: true });
    }
    this.#deps.log.info('created a template of utility VMs', {
      ramMB: shape.ramMB,
      ms: Math.round(this.#deps.clock.monotonicMs() - began),
    });
  }

  async #copyPlaceholders(disks: string): Promise<Placeholders> {
    const source = join(disks, 'source.squashfs');
    await copyFile(this.#placeholders.squashfs, source);
    return { squashfs: source, ext4: this.#placeholders.ext4 };
  }

  /** QEMU's seccomp filter and jail prevent new processes and files, so the state is sent over a socket. */
  async #save(vm: UtilityVm, path: string): Promise<void> {
    const socket = await listenForState(vmPaths(this.#deps.layout, vm.id).run, vm.record.uid);
    try {
      await vm.qmp.execute('migrate-set-capabilities', {
        capabilities: [{ capability: 'x-ignore-shared', state: true }],
      });
      await vm.qmp.execute('migrate', { uri: `unix:${STATE_SOCKET_IN_JAIL}` });
      await this.#untilMigrated(vm);
      await writeFile(path, await socket.received, { mode: 0o600, flush: true });
    } finally {
      socket.close();
    }
  }

  async #untilMigrated(vm: UtilityVm): Promise<void> {
    for (;;) {
      const status = (await vm.qmp.execute('query-migrate')) as { status?: string; 'error-desc'?: string };
      if (status.status === 'completed') return;
      if (status.status === 'failed' || status.status === 'cancelled')
        throw new RuntimeError(
          'step-failed',
          `The template could not be saved: ${status['error-desc'] ?? status.status}`,
        );
      await sleep(this.#deps.clock, MIGRATION_POLL_MS);
    }
  }

  /** Removes templates of other kernels or QEMU versions. Templates of other shapes are kept. */
  async #removeOthers(kept: string): Promise<void> {
    const generation = kept.slice(kept.lastIndexOf('/') + 1).split('-')[0] ?? '';
    for (const name of await readdir(this.#deps.layout.templates))
      if (!name.startsWith(generation))
        await rm(join(this.#deps.layout.templates, name), { recursive: true, force: true });
  }

  #hold(key: string, ram: string): Promise<string> {
    this.#stop.signal.throwIfAborted();
    const holder = spawn(this.#deps.artifacts.helper, ['hold-template', `ram=${ram}`], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {},
    });
    this.#holders.set(key, holder);
    holder.unref();
    return new Promise((resolve, reject) => {
      let said = '';
      holder.stdout.once('data', (line: Buffer) => {
        const [pid, fd] = line.toString().trim().split(' ');
        holder.stdout.destroy();
        holder.stderr.destroy();
        resolve(`/proc/${pid}/fd/${fd}`);
      });
      holder.stderr.on('data', (piece: Buffer) => {
        said += piece.toString();
      });
      holder.once('error', reject);
      holder.once('exit', () => {
        if (this.#holders.get(key) === holder) this.#release(key);
        reject(new RuntimeError('step-failed', `The template’s memory could not be loaded: ${said.trim()}`));
      });
    });
  }
}

/** Copies a file without its holes, and waits until it is on the disk. */
const copySparse = async (from: string, to: string): Promise<void> => {
  await runOrFail('The template could not be stored', 'cp', ['--sparse=always', '--', from, to]);
  const copy = await open(to);
  await copy.sync().finally(() => copy.close());
};

/** Whether the files of a template exist and have their size. */
const isComplete = async (folder: string, { ramMB }: VmShape): Promise<boolean> => {
  const sizes = await Promise.all(['ram', 'state'].map((name) => stat(join(folder, name)).catch(() => null)));
  return sizes[0]?.size === ramMB * MIB && (sizes[1]?.size ?? 0) > 0;
};
