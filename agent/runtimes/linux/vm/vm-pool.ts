import { sleep } from '../../../clock.ts';
import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { withBackgroundVm } from './background-vm.ts';
import type { VmShape } from './qemu-arguments.ts';
import { rehearse } from './rehearsal.ts';
import type { Templates } from './templates.ts';
import type { UtilityVm } from './utility-vm.ts';
import type { Placeholders } from './worker.ts';

const CLONE_TIMEOUT_MS = 30_000;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000] as const;

export interface PoolOptions {
  /** How many VMs are kept ready; 0 for none. */
  readonly size: number;
  readonly shape: VmShape;
}

/**
 * Utility VMs of one shape that have been cloned and have rehearsed a start.
 *
 * A VM leaves the pool once and never comes back; whoever claims it owns it. One that dies while it waits is
 * replaced. Refilling is one VM after another, at low priority, in the background. What waits in the pool when the
 * agent dies is removed when it starts again: nothing of value is in it.
 */
export class VmPool {
  readonly #deps: LinuxDeps;
  readonly #templates: Templates;
  readonly #placeholders: Placeholders;
  readonly #options: PoolOptions;
  readonly #ready: UtilityVm[] = [];
  readonly #stop = new AbortController();
  #refilling: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor(deps: LinuxDeps, templates: Templates, placeholders: Placeholders, options: PoolOptions) {
    this.#deps = deps;
    this.#templates = templates;
    this.#placeholders = placeholders;
    this.#options = options;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Begins to fill the pool. Resolves once it is full or the pool is closed. */
  refill(): Promise<void> {
    this.#refilling ??= this.#fill().finally(() => {
      this.#refilling = null;
    });
    return this.#refilling;
  }

  /** A VM that is ready and of that shape; null when none is. Whoever claims it says when to {@link refill}. */
  claim(shape: VmShape): UtilityVm | null {
    const wanted = this.#options.shape;
    if (shape.ramMB !== wanted.ramMB || shape.cpus !== wanted.cpus) return null;
    // One that has just died is forgotten, and removed, when its end is told.
    const index = this.#ready.findIndex((vm) => vm.alive && vm.connected);
    return this.#ready.splice(index, index < 0 ? 0 : 1)[0] ?? null;
  }

  /** Removes every VM that waits. Whoever calls it later waits for the same. */
  close(): Promise<void> {
    this.#closing ??= this.#removeAll();
    return this.#closing;
  }

  async #removeAll(): Promise<void> {
    this.#stop.abort();
    await this.#refilling?.catch(() => {});
    await Promise.all(this.#ready.splice(0).map((vm) => vm.destroy()));
  }

  async #fill(): Promise<void> {
    for (let failures = 0; this.#ready.length < this.#options.size && !this.#stop.signal.aborted; ) {
      try {
        await this.#addOne();
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#deps.log.warn('a utility VM for the pool could not be made', { reason: messageOf(error) });
        const delay = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        await sleep(this.#deps.clock, delay, this.#stop.signal).catch(() => {});
      }
    }
  }

  async #addOne(): Promise<void> {
    const { shape } = this.#options;
    const template = await this.#templates.get(shape);
    const launch = {
      vmId: this.#deps.newId(),
      containerId: null,
      shape,
      start: { kind: 'clone' },
      template,
      lowPriority: true,
    } as const;
    const vm = await withBackgroundVm(this.#deps, this.#placeholders, launch, {
      signal: this.#stop.signal,
      use: async (made) => {
        await made.connectGuest('clone', CLONE_TIMEOUT_MS);
        await rehearse(made);
        return made;
      },
    });
    void vm.ended().then(() => this.#forget(vm));
    this.#ready.push(vm);
  }

  /** One that dies while it waits; one that has been claimed is no longer in the list. */
  #forget(vm: UtilityVm): void {
    const index = this.#ready.indexOf(vm);
    if (index < 0) return;
    this.#ready.splice(index, 1);
    void vm.destroy().then(() => (this.#stop.signal.aborted ? undefined : this.refill()));
  }
}
