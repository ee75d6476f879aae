import { MAX_TEMPLATE_RAM_MB } from './kept-templates.ts';
import { type VmShape, WORKER_OVERHEAD_MB } from './qemu-arguments.ts';

/** Starts of this time determine what the pool holds. */
export const DEMAND_MS = 5 * 60_000;
/** Time in which the pool can replace a claimed VM, even on a busy machine. */
export const REPLACE_MS = 10_000;
/** A VM waits for a kind of start only if at least this many starts would have used it. */
const FEWEST_STARTS = 2;
/**
 * A single VM waits for one image only if at least this share of the starts used it. A start without a VM of the pool loses about
 * eight times of what a VM that rehearsed with the same image gains.
 */
const ONE_IMAGE_SHARE = 0.9;
/** Bounds the memory and time for a burst of starts. */
const MAX_STARTS = 1_000;

/** What a VM of the pool can be claimed for. */
export interface PoolKind {
  readonly shape: VmShape;
  /** Path of the image that the VM rehearses with. */
  readonly image: string;
}

interface Start extends PoolKind {
  readonly atMs: number;
}

export interface PoolLimits {
  /** Memory that all VMs of the pool can take, each with its overhead. */
  readonly budgetMB: number;
  /** The kind that the remaining budget is used for. Its image is trusted: such a VM can be used for every image. */
  readonly general: PoolKind;
}

export const sameShape = (a: VmShape, b: VmShape): boolean =>
  a.ramMB === b.ramMB && a.cpus === b.cpus && a.accelerator === b.accelerator;
export const sameKind = (a: PoolKind, b: PoolKind): boolean =>
  a.image === b.image && sameShape(a.shape, b.shape);

/** Memory that a waiting VM can take, in MiB. */
export const poolVmMB = ({ ramMB }: VmShape): number => ramMB + WORKER_OVERHEAD_MB;

/** The number of starts that each VM of a shape would have served, the first VM first. */
const usesOf = (starts: readonly Start[]): number[] => {
  const uses: number[] = [];
  let first = 0;
  for (const [index, { atMs }] of starts.entries()) {
    while ((starts[first]?.atMs ?? atMs) <= atMs - REPLACE_MS) first += 1;
    for (let nth = 0; nth <= index - first; nth++) uses[nth] = (uses[nth] ?? 0) + 1;
  }
  return uses;
};

/** Divides VMs among images by their weights: each next VM is for the image with the most weight for each of its VMs. */
const divide = (
  count: number,
  weights: readonly (readonly [string, number])[],
  general: string,
): string[] => {
  const given: string[] = [];
  const share = ([image, weight]: readonly [string, number]) =>
    weight / (given.filter((one) => one === image).length + 1);
  while (given.length < count) given.push(weights.toSorted((a, b) => share(b) - share(a))[0]?.[0] ?? general);
  return given;
};

/**
 * The starts of the last minutes, and what the pool should hold because of them.
 *
 * The second VM of a shape is worth the starts that came before the first VM could be replaced, and so on. So a load with one start
 * at a time keeps one VM ready, and a load in bursts keeps as many as a burst has.
 */
export class PoolDemand {
  readonly #limits: PoolLimits;
  #starts: readonly Start[] = [];

  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  /** Records a start. It need not be served by the pool. */
  add(kind: PoolKind, nowMs: number): void {
    this.#starts = [...this.#starts, { ...kind, atMs: nowMs }].slice(-MAX_STARTS);
  }

  forgetImages(images: readonly string[]): void {
    this.#starts = this.#starts.filter(({ image }) => !images.includes(image));
  }

  /** Whether there was a start that the plan still depends on. */
  isRecent(nowMs: number): boolean {
    return this.#recent(nowMs).length > 0;
  }

  /**
   * The VMs that should wait, the most useful first.
   * @param canRehearse whether VMs can rehearse with that image; otherwise the general image is used
   */
  plan(nowMs: number, canRehearse: (image: string) => boolean): PoolKind[] {
    this.#starts = this.#recent(nowMs);
    const { general, budgetMB } = this.#limits;
    let leftMB = budgetMB;
    const take = (shape: VmShape): boolean => {
      if (poolVmMB(shape) > leftMB) return false;
      leftMB -= poolVmMB(shape);
      return true;
    };
    const shapes = this.#usefulShapes().filter(take);
    while (take(general.shape)) shapes.push(general.shape);
    const planned: VmShape[] = [];
    return shapes.flatMap((shape) => {
      if (planned.some((one) => sameShape(one, shape))) return [];
      planned.push(shape);
      const count = shapes.filter((one) => sameShape(one, shape)).length;
      return this.#imagesFor(shape, count, canRehearse).map((image) => ({ shape, image }));
    });
  }

  #recent(nowMs: number): readonly Start[] {
    return this.#starts.filter(({ atMs }) => atMs > nowMs - DEMAND_MS);
  }

  /**
   * A shape for each VM that starts would have used, the most useful first. The second VM of a shape counts half, because the first
   * is often replaced in time, and so on.
   */
  #usefulShapes(): VmShape[] {
    const shapes: VmShape[] = [];
    for (const { shape } of this.#starts)
      if (shape.ramMB <= MAX_TEMPLATE_RAM_MB && !shapes.some((one) => sameShape(one, shape)))
        shapes.push(shape);
    return shapes
      .flatMap((shape) =>
        usesOf(this.#startsOf(shape)).map((uses, index) => ({ shape, uses, worth: uses / (index + 1) })),
      )
      .filter(({ uses }) => uses >= FEWEST_STARTS)
      .sort((a, b) => b.worth - a.worth)
      .map(({ shape }) => shape);
  }

  #startsOf(shape: VmShape): readonly Start[] {
    return this.#starts.filter((start) => sameShape(start.shape, shape));
  }

  /**
   * The images for that many VMs of a shape. A single VM is for one image only if nearly all starts use it. Of several VMs, one can
   * be used for all images, and the others are divided among the images by the number of their starts.
   */
  #imagesFor(shape: VmShape, count: number, canRehearse: (image: string) => boolean): string[] {
    const general = this.#limits.general.image;
    const starts = this.#startsOf(shape);
    const uses = new Map<string, number>();
    for (const { image } of starts) uses.set(image, (uses.get(image) ?? 0) + 1);
    const images = [...uses].filter(([image, number]) => number >= FEWEST_STARTS && canRehearse(image));
    if (count === 1)
      return [images.find(([, number]) => number >= starts.length * ONE_IMAGE_SHARE)?.[0] ?? general];
    return [...divide(count - 1, images, general), general];
  }
}
