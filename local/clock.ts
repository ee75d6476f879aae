import type { Clock } from './engine.ts';

/** Longer timers overflow in Node and fire at once, so a longer wait is split. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, callback) => {
    let timer: NodeJS.Timeout;
    const arm = (left: number) => {
      timer =
        left > longestTimerMs
          ? setTimeout(() => arm(left - longestTimerMs), longestTimerMs)
          : setTimeout(callback, Math.max(0, left));
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
