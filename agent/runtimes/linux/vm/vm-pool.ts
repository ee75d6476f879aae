import { type Cancel, type Clock, nothingToCancel, sleep } from '../../../clock.ts';
import { messageOf } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import {
  DEMAND_MS,
  PoolDemand,
  type PoolKind,
  type PoolLimits,
  poolVmMB,
  sameKind,
  sameShape,
} from './pool-demand.ts';
import type { PooledVmOptions } from './pooled-vm.ts';
import type { VmShape } from './qemu-arguments.ts';
import type { UtilityVm } from './utility-vm.ts';

const RETRY_MS = [1_000, 5_000, 30_000, 120_000] as const;

/** What the pool needs of a utility VM. */
export type PoolVm = Pick<UtilityVm, 'alive' | 'connected' | 'ended' | 'destroy'>;

interface PoolOptions<Vm extends PoolVm> extends PoolLimits {
  readonly clock: Clock;
  readonly log: Log;
  /** Creates a VM that has rehearsed. */
  readonly make: (kind: PoolKind, options: PooledVmOptions) => Promise<Vm>;
  /** Whether an image still exists. */
  readonly hasImage: (image: string) => boolean;
}

interface WaitingVm<Vm> extends PoolKind {
  readonly vm: Vm;
}

/** The VM that the pool is creating. */
interface PendingVm extends PoolKind {
  /** Cancels the creation. */
  readonly cancel: AbortController;
  /** Settles when the VM waits in the pool or has been removed; never rejects. */
  readonly settled: Promise<unknown>;
}

/**
 * Utility VMs that have been cloned and have rehearsed a start. Which ones, the starts of the last minutes determine
 * ({@link PoolDemand}), within a fixed amount of memory.
 *
 * A VM rehearses with one image and keeps its pages in memory, which halves the start time of that image. Because code of that
 * image has run in the VM, only containers of that image can use it. A VM that rehearsed with the general image can be used for
 * all images.
 *
 * A claimed VM belongs to its container and never returns to the pool. A VM that exits while it waits is replaced. The pool is
 * refilled in the background, one VM at a time and at low priority. After a crash of the agent, the VMs in the pool are removed
 * at the next start.
 */
export class VmPool<Vm extends PoolVm = UtilityVm> {
  readonly #options: PoolOptions<Vm>;
  readonly #demand: PoolDemand;
  readonly #ready: WaitingVm<Vm>[] = [];
  /** Images whose rehearsal failed. */
  readonly #unfit = new Set<string>();
  /** Removals in progress. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #making: PendingVm | null = null;
  #refilling: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #cancelRevision: Cancel = nothingToCancel;

  constructor(options: PoolOptions<Vm>) {
    this.#options = options;
    this.#demand = new PoolDemand(options);
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Adapts the pool to the demand. Resolves once it holds what it should, or is closed. */
  refill(): Promise<void> {
    this.#refilling ??= this.#fill().finally(() => {
      this.#refilling = null;
      this.#reviseLater();
    });
    return this.#refilling;
  }

  /**
   * Claims a ready VM for a container of that shape and image; null if there is none. The caller decides when to
   * {@link refill}.
   */
  claim(shape: VmShape, image: string): Vm | null {
    this.#demand.add({ shape, image }, this.#nowMs());
    // A VM that has just exited is dropped and removed when its end is reported.
    const alive = this.#ready.filter(
      (one) => sameShape(one.shape, shape) && one.vm.alive && one.vm.connected,
    );
    const found = alive.find((one) => one.image === image) ?? alive.find((one) => this.#isGeneral(one.image));
    if (found) this.#ready.splice(this.#ready.indexOf(found), 1);
    return found?.vm ?? null;
  }

  /** Removes all VMs that use deleted images. Resolves once no waiting or pending VM uses them. */
  async forgetImages(images: readonly string[]): Promise<void> {
    this.#demand.forgetImages(images);
    const making = this.#making;
    if (making && images.includes(making.image)) {
      making.cancel.abort();
      await making.settled;
    }
    await this.#replace(this.#ready.filter(({ image }) => images.includes(image)));
  }

  /** Removes all waiting VMs. A later call waits for the same removal. */
  close(): Promise<void> {
    this.#closing ??= this.#removeAll();
    return this.#closing;
  }

  async #removeAll(): Promise<void> {
    this.#stop.abort();
    await this.#refilling?.catch(() => {});
    this.#cancelRevision();
    await Promise.all([...this.#leaving, ...this.#ready.splice(0).map(({ vm }) => vm.destroy())]);
  }

  async #fill(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      const { missing, surplus } = this.#compare();
      if (missing === undefined) return;
      await this.#makeRoom(missing.shape, surplus);
      const cancel = new AbortController();
      const made = this.#addOne(missing, AbortSignal.any([this.#stop.signal, cancel.signal]));
      this.#making = { ...missing, cancel, settled: made.catch(() => {}) };
      try {
        await made;
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (cancel.signal.aborted) continue;
        const { image } = missing;
        this.#options.log.warn('could not create a utility VM for the pool', {
          image,
          reason: messageOf(error),
        });
        if (!this.#isGeneral(image)) this.#unfit.add(image);
        const delay = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        await sleep(this.#options.clock, delay, this.#stop.signal).catch(() => {});
      } finally {
        this.#making = null;
      }
    }
  }

  /** The first VM of the plan that does not wait, and the waiting VMs that are not in the plan. */
  #compare(): { missing: PoolKind | undefined; surplus: WaitingVm<Vm>[] } {
    const surplus = [...this.#ready];
    const canRehearse = (image: string) => !this.#unfit.has(image) && this.#options.hasImage(image);
    const missing = this.#demand.plan(this.#nowMs(), canRehearse).filter((kind) => {
      const at = surplus.findIndex((one) => sameKind(one, kind));
      if (at >= 0) surplus.splice(at, 1);
      return at < 0;
    });
    return { missing: missing[0], surplus };
  }

  /** Removes as many VMs that are not in the plan as a VM of that shape needs memory. */
  async #makeRoom(shape: VmShape, surplus: WaitingVm<Vm>[]): Promise<void> {
    const usedMB = () => this.#ready.reduce((sum, one) => sum + poolVmMB(one.shape), 0);
    for (const one of surplus)
      if (usedMB() + poolVmMB(shape) > this.#options.budgetMB) await this.#discard(one);
  }

  async #addOne(kind: PoolKind, signal: AbortSignal): Promise<void> {
    const vm = await this.#options.make(kind, { isTrusted: this.#isGeneral(kind.image), signal });
    const waiting = { ...kind, vm };
    void vm.ended().then(() => this.#replace([waiting]));
    this.#ready.push(waiting);
  }

  /** Adapts the pool when its demand is over, because no start does it then. */
  #reviseLater(): void {
    this.#cancelRevision();
    if (this.#stop.signal.aborted || !this.#demand.isRecent(this.#nowMs())) return;
    this.#cancelRevision = this.#options.clock.after(DEMAND_MS, () => void this.refill());
  }

  #isGeneral(image: string): boolean {
    return image === this.#options.general.image;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  async #replace(waiting: readonly WaitingVm<Vm>[]): Promise<void> {
    const discarded = await Promise.all(waiting.map((one) => this.#discard(one)));
    if (discarded.includes(true) && !this.#stop.signal.aborted) void this.refill();
  }

  /** Removes a waiting VM, unless it has been claimed. */
  async #discard(waiting: WaitingVm<Vm>): Promise<boolean> {
    const index = this.#ready.indexOf(waiting);
    if (index < 0) return false;
    this.#ready.splice(index, 1);
    const gone = waiting.vm
      .destroy()
      .catch((error) => this.#options.log.warn('could not remove a utility VM', { reason: messageOf(error) }))
      .finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
    await gone;
    return true;
  }
}
