import type { Step, StepKind, StepOf } from '../plan/steps.ts';
import type { Runtime } from '../runtimes/runtime.ts';

type Executor<K extends StepKind> = (runtime: Runtime, step: StepOf<K>, signal: AbortSignal) => Promise<void>;

/** The only place that changes containers. Each is idempotent, because the runtime's methods are. */
export const EXECUTORS: { readonly [K in StepKind]: Executor<K> } = {
  createWritableLayer: (runtime, step, signal) => runtime.createWritableLayer(step.container, signal),
  setRuntimeType: (runtime, step, signal) =>
    runtime.setRuntimeType(step.container, step.acceptUntrustedDisk, signal),
  createUtilityVm: (runtime, step, signal) => runtime.createUtilityVm(step.container, signal),
  connectGuest: (runtime, step, signal) => runtime.connectGuest(step.containerId, signal),
  createNetworkEndpoint: (runtime, step, signal) => runtime.createNetworkEndpoint(step.container, signal),
  attachDisks: (runtime, step, signal) => runtime.attachDisks(step.container, signal),
  mountLayers: (runtime, step, signal) => runtime.mountLayers(step.container, signal),
  startProcess: (runtime, step, signal) => runtime.startProcess(step.container, step.instanceId, signal),
  stopProcess: (runtime, step, signal) => runtime.stopProcess(step.containerId, step.timeoutSeconds, signal),
  unmountLayers: (runtime, step, signal) => runtime.unmountLayers(step.containerId, signal),
  detachDisks: (runtime, step, signal) => runtime.detachDisks(step.containerId, signal),
  removeNetworkEndpoint: (runtime, step, signal) => runtime.removeNetworkEndpoint(step.containerId, signal),
  destroyUtilityVm: (runtime, step, signal) => runtime.destroyUtilityVm(step.containerId, signal),
  removeWritableLayer: (runtime, step, signal) => runtime.removeWritableLayer(step.containerId, signal),
};

const MINUTE = 60_000;
/** The limits are those of hcsshim: 4 min to create and start a system, 2 min to connect to its guest, 2 min for anything else. */
const LIMITS_MS: Partial<Record<StepKind, number>> = { createUtilityVm: 4 * MINUTE };
const USUAL_LIMIT_MS = 2 * MINUTE;

/** Time limit of a step, in milliseconds. */
export const limitOf = (step: Step): number =>
  step.kind === 'stopProcess'
    ? step.timeoutSeconds * 1_000 + MINUTE
    : (LIMITS_MS[step.kind] ?? USUAL_LIMIT_MS);

export const execute = <K extends StepKind>(
  runtime: Runtime,
  step: StepOf<K> & { kind: K },
  signal: AbortSignal,
): Promise<void> => EXECUTORS[step.kind](runtime, step, signal);
