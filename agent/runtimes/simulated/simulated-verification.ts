import type { IsolationVerification } from '../../../core/contract/isolation-verification.ts';
import {
  ISOLATION_PROBES,
  judgeIsolation,
  type Observation,
  PROBE_NAMES,
  type ProbeName,
} from '../isolation-probes.ts';
import type { SimulatedContainer } from './world.ts';

const DETAIL = 'simulated: no probe ran';

/** Simulated containers cannot be escaped: each probe gets its first expected outcome. */
export const simulatedVerification = (
  { container: { runtimeType } }: SimulatedContainer,
  now: Date,
): IsolationVerification => {
  const observed = PROBE_NAMES.map((name): [ProbeName, Observation] => [
    name,
    { outcome: ISOLATION_PROBES[name].expected[runtimeType][0], detail: DETAIL },
  ]);
  return { ...judgeIsolation(runtimeType, new Map(observed), now), simulated: true };
};
