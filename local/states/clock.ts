/** Time, passed in so that tests can move it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /**
   * Calls back once at the given time, or soon if it has passed.
   * @param at epoch milliseconds
   * @returns a function that cancels it
   */
  at(at: number, callback: () => void): () => void;
}

/** setTimeout cannot wait longer, so a longer wait is split. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  at(at, callback) {
    let handle: NodeJS.Timeout;
    const arm = () => {
      const left = at - Date.now();
      handle =
        left > MAX_TIMEOUT_MS ? setTimeout(arm, MAX_TIMEOUT_MS) : setTimeout(callback, Math.max(left, 0));
      handle.unref();
    };
    arm();
    return () => clearTimeout(handle);
  },
};
