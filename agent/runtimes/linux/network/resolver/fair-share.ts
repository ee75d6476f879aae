interface Limits {
  /** Questions that a container may ask in one second. */
  readonly perSecond: number;
  /** Questions of one container that wait for an answer. */
  readonly outstanding: number;
  /** The same, of all containers. */
  readonly total: number;
}

interface Share {
  second: number;
  asked: number;
  waiting: number;
}

/** Keeps one container from using up the resolver: what is beyond its share gets no answer. */
export class FairShare {
  readonly #limits: Limits;
  readonly #shares = new Map<string, Share>();
  #waiting = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether a question may be asked now. If so, {@link done} must follow. */
  begin(container: string, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1_000);
    const share = this.#shares.get(container) ?? { second, asked: 0, waiting: 0 };
    if (share.second !== second) Object.assign(share, { second, asked: 0 });
    this.#shares.set(container, share);
    if (share.asked >= this.#limits.perSecond || share.waiting >= this.#limits.outstanding) return false;
    if (this.#waiting >= this.#limits.total) return false;
    share.asked++;
    share.waiting++;
    this.#waiting++;
    return true;
  }

  done(container: string): void {
    const share = this.#shares.get(container);
    if (share === undefined || share.waiting === 0) return;
    share.waiting--;
    this.#waiting--;
  }

  /** Of a container that is gone. */
  forget(container: string): void {
    if (this.#shares.get(container)?.waiting === 0) this.#shares.delete(container);
  }
}
