import { randomUUID } from 'node:crypto';
import type { Clock } from '../../agent/clock.ts';
import { type SimulatedKind, simulatedMachine } from '../../agent/runtimes/simulated/kinds.ts';
import { SimulatedRuntime } from '../../agent/runtimes/simulated/simulated-runtime.ts';
import { World } from '../../agent/runtimes/simulated/world.ts';

/** A simulated machine in memory, with its runtime. Steps take no time by default. */
export const simulatedHost = (kind: SimulatedKind, clock: Clock, delays = { min: 0, max: 0 }) => {
  const machine = simulatedMachine(kind);
  const world = new World(':memory:', machine.images);
  const die = (): never => {
    throw new TypeError('the process died');
  };
  const runtime = new SimulatedRuntime({
    machine,
    world,
    clock,
    random: () => 0.5,
    delays,
    newId: randomUUID,
    die,
  });
  return { world, runtime };
};
