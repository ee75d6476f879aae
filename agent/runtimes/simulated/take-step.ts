import { type Clock, sleep } from '../../clock.ts';
import { RuntimeError } from '../../errors.ts';
import { LONGEST_WAIT_MS } from './main-processes.ts';
import type { World } from './world.ts';

/** The duration of a step in milliseconds: uniformly distributed between the two. */
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
  /** Ends this process immediately, as a power failure would. For the faults `die-before` and `die-after`. */
  readonly die: () => never;
}

type TakeStep = (step: string, signal: AbortSignal, effect: () => void) => Promise<void>;

/** Waits for a step's duration, then applies its effect. An injected fault occurs instead of the effect, or after it. */
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
