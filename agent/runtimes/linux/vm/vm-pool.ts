import { existsSync } from 'node:fs';
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
/** After this many consecutive starts of one image, the pool prepares VMs for it. */
const STARTS_IN_A_ROW = 2;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000] as const;

interface PoolOptions {
  /** Number of VMs to keep ready. */
  readonly size: number;
  readonly shape: VmShape;
  /** Path of a trusted image. A VM that has rehearsed with it can be used for any image. */
  readonly generalImage: string;
}

interface WaitingVm {
  readonly vm: UtilityVm;
  /** The image that the VM has rehearsed with and has mounted. */
  readonly image: string;
}

/** The VM that the pool is creating. */
interface PendingVm {
  readonly image: string;
  /** Cancels the creation. */
  readonly cancel: AbortController;
  /** Settles when the VM waits in the pool or has been removed; never rejects. */
  readonly settled: Promise<unknown>;
}

/**
 * Utility VMs of one shape that have been cloned and have rehearsed a start.
 *
 * A VM rehearses with one image and keeps its pages in memory, which halves the start time of that image. Because code of that
 * image has run in the VM, only containers of that image can use it. A VM that rehearsed with the general image can be used for
 * all images. The pool prepares VMs for an image after two consecutive starts of it.
 *
 * A claimed VM belongs to its container and never returns to the pool. A VM that exits while it waits is replaced. The pool is
 * refilled in the background, one VM at a time and at low priority. After a crash of the agent, the VMs in the pool are removed
 * at the next start.
 */
export class VmPool {
  readonly #deps: LinuxDeps;
  readonly #templates: Templates;
  readonly #placeholders: Placeholders;
  readonly #options: PoolOptions;
  readonly #ready: WaitingVm[] = [];
  /** Images of the last starts, the newest first. */
  #recent: readonly string[] = [];
  /** Images whose rehearsal failed. */
  readonly #unfit = new Set<string>();
  /** Removals in progress. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #making: PendingVm | null = null;
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

  /** Fills the pool. Resolves once the pool is full or closed. */
  refill(): Promise<void> {
    this.#refilling ??= this.#fill().finally(() => {
      this.#refilling = null;
    });
    return this.#refilling;
  }

  /**
   * Claims a ready VM for a container of that shape and image; null if there is none. The caller decides when to
   * {@link refill}.
   */
  claim(shape: VmShape, image: string): UtilityVm | null {
    const wanted = this.#options.shape;
    if (shape.ramMB !== wanted.ramMB || shape.cpus !== wanted.cpus) return null;
    this.#recent = [image, ...this.#recent].slice(0, STARTS_IN_A_ROW);
    // A VM that has just exited is dropped and removed when its end is reported.
    const alive = this.#ready.filter(({ vm }) => vm.alive && vm.connected);
    const found =
      alive.find((one) => one.image === image) ??
      alive.find((one) => one.image === this.#options.generalImage);
    if (found) this.#ready.splice(this.#ready.indexOf(found), 1);
    // All waiting VMs are for other images, so the oldest is replaced by one for this image.
    else if (alive[0]) void this.#discard(alive[0]);
    return found?.vm ?? null;
  }

  /** Removes all VMs that use deleted images. Resolves once no waiting or pending VM uses them. */
  async forgetImages(images: readonly string[]): Promise<void> {
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
    await Promise.all([...this.#leaving, ...this.#ready.splice(0).map(({ vm }) => vm.destroy())]);
  }

  async #fill(): Promise<void> {
    for (let failures = 0; this.#ready.length < this.#options.size && !this.#stop.signal.aborted; ) {
      const image = this.#nextImage();
      const cancel = new AbortController();
      const signal = AbortSignal.any([this.#stop.signal, cancel.signal]);
      const made = this.#addOne(image, signal);
      this.#making = { image, cancel, settled: made.catch(() => {}) };
      try {
        await made;
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (cancel.signal.aborted) continue;
        const reason = messageOf(error);
        this.#deps.log.warn('could not create a utility VM for the pool', { image, reason });
        if (image !== this.#options.generalImage) this.#unfit.add(image);
        const delay = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        await sleep(this.#deps.clock, delay, this.#stop.signal).catch(() => {});
      } finally {
        this.#making = null;
      }
    }
  }

  /** The image for the next VM's rehearsal. In a pool of several VMs, one has the general image. */
  #nextImage(): string {
    const { size, generalImage } = this.#options;
    const [newest = generalImage] = this.#recent;
    const often = this.#recent.length === STARTS_IN_A_ROW && this.#recent.every((image) => image === newest);
    const covered = size === 1 || this.#ready.some(({ image }) => image === generalImage);
    return often && covered && !this.#unfit.has(newest) && existsSync(newest) ? newest : generalImage;
  }

  async #addOne(image: string, signal: AbortSignal): Promise<void> {
    const { shape } = this.#options;
    const launch = {
      vmId: this.#deps.newId(),
      containerId: null,
      shape,
      start: { kind: 'clone' },
      lowPriority: true,
    } as const;
    const use = async (made: UtilityVm): Promise<UtilityVm> => {
      await made.connectGuest('clone', CLONE_TIMEOUT_MS);
      // Only the general image is trusted.
      if (image !== this.#options.generalImage) await made.expectImageCode();
      await made.attachImage(image);
      await rehearse(made);
      return made;
    };
    const vm = await this.#templates.use(shape, (template) =>
      withBackgroundVm(this.#deps, this.#placeholders, { ...launch, template }, { signal, use }),
    );
    const waiting = { vm, image };
    void vm.ended().then(() => this.#replace([waiting]));
    this.#ready.push(waiting);
  }

  async #replace(waiting: readonly WaitingVm[]): Promise<void> {
    const discarded = await Promise.all(waiting.map((one) => this.#discard(one)));
    if (discarded.includes(true) && !this.#stop.signal.aborted) void this.refill();
  }

  /** Removes a waiting VM, unless it has been claimed. */
  async #discard(waiting: WaitingVm): Promise<boolean> {
    const index = this.#ready.indexOf(waiting);
    if (index < 0) return false;
    this.#ready.splice(index, 1);
    const gone = waiting.vm
      .destroy()
      .catch((error) => this.#deps.log.warn('could not remove a utility VM', { reason: messageOf(error) }))
      .finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
    await gone;
    return true;
  }
}
