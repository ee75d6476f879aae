import { type Clock, sleep } from '../../clock.ts';
import { RuntimeError } from '../../errors.ts';
import { LONGEST_WAIT_MS } from './main-processes.ts';
import type { World } from './world.ts';

/** How long a step takes, in milliseconds: evenly spread between the two. */
export interface Delays {
  readonly min: number;
  readonly max: number;
}

export interface TakeStepDeps {
  readonly world: Pick<World, 'takeFault'>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly delays: Delays;
  /** Ends this process at once, as a power cut would: for the faults that say so. */
  readonly die: () => never;
}

type TakeStep = (step: string, signal: AbortSignal, effect: () => void) => Promise<void>;

/** Takes a step's time, then has its effect; a fault that waits for the step happens in place of it, or after. */
export const createTakeStep =
  ({ world, clock, random, delays, die }: TakeStepDeps): TakeStep =>
  async (step, signal, effect) => {
    signal.throwIfAborted();
    const fault = world.takeFault(step);
    if (fault === 'die-before') die();
    if (fault === 'hang') await sleep(clock, LONGEST_WAIT_MS, signal);
    await sleep(clock, delays.min + random() * (delays.max - delays.min), signal);
    if (fault === 'fail')
      throw new RuntimeError('step-failed', `The simulated machine is configured to fail at ${step}.`);
    effect();
    if (fault === 'die-after') die();
  };
