/** Calls off what was to happen later; does nothing once it has. */
export type Cancel = () => void;
/** For a place that holds a {@link Cancel} before there is anything to call off. */
export const nothingToCancel: Cancel = () => undefined;

/** Time as the agent sees it; tests pass one of their own. */
export interface Clock {
  now(): Date;
  /** Milliseconds since some moment of this boot: rises steadily, also from one process to the next. */
  monotonicMs(): number;
  /** Calls back once after `ms` milliseconds; returns what cancels it. */
  after(ms: number, callback: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits `ms` milliseconds. Rejects with the signal's reason as soon as that is aborted. */
export const sleep = (clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
