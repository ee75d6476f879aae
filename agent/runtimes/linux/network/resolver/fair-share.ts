interface Limits {
  /** Maximum number of queries of one container in one second. */
  readonly perSecond: number;
  /** Maximum number of unanswered queries of one container. */
  readonly outstanding: number;
  /** Maximum number of unanswered queries of all containers. */
  readonly total: number;
}

interface Share {
  second: number;
  asked: number;
  waiting: number;
}

/** Prevents one container from overloading the resolver. Queries beyond its share get no answer. */
export class FairShare {
  readonly #limits: Limits;
  readonly #shares = new Map<string, Share>();
  #waiting = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Returns whether a query is within the share. If so, {@link done} must be called later. */
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

  /** Deletes the state of a removed container. */
  forget(container: string): void {
    if (this.#shares.get(container)?.waiting === 0) this.#shares.delete(container);
  }
}
