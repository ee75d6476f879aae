import { randomBytes, randomUUID } from 'node:crypto';
import { DEFAULT_RESOURCES } from '../core/contract/primitives.ts';
import { systemClock } from './clock.ts';
import { EXIT_CODES, messageOf, RuntimeError, StartupError } from './errors.ts';
import { executePlan } from './execute/execute-plan.ts';
import { StepRecorder } from './execute/step-recorder.ts';
import type { Log } from './log.ts';
import type { AgentOptions } from './options.ts';
import { plan } from './plan/plan.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { simulatedMachine } from './runtimes/simulated/kinds.ts';
import { SimulatedRuntime } from './runtimes/simulated/simulated-runtime.ts';
import { World } from './runtimes/simulated/world.ts';
import { stateFiles } from './state-directory.ts';

interface OpenRuntime {
  readonly runtime: Runtime;
  /** Must be called after the agent has stopped. Closes the runtime and removes the resources that no container uses. */
  readonly release: () => Promise<void>;
}

const openSimulated = (options: AgentOptions): OpenRuntime => {
  if (options.simulate === undefined)
    throw new StartupError(
      EXIT_CODES.usage,
      'The machine to simulate is missing: use --simulate KIND. See --help.',
    );
  const capacity = {
    memoryMB: options.capacityMemoryMb,
    cpus: options.capacityCpus,
    diskMB: options.capacityDiskMb,
  };
  const machine = simulatedMachine(options.simulate, capacity, options.allowPrivate);
  const world = new World(stateFiles(options.stateDir).simulatedWorld, machine.images);
  for (const { step, action, times } of options.simulateFault) world.addFault(step, action, times);
  const [min, max] = options.simulateDelayMs;
  const runtime = new SimulatedRuntime({
    machine,
    world,
    clock: systemClock,
    random: Math.random,
    delays: { min, max },
    newId: randomUUID,
    die: () => {
      process.kill(process.pid, 'SIGKILL');
      throw new StartupError(EXIT_CODES.unexpected, 'This process has been killed.');
    },
  });
  return { runtime, release: async () => runtime.close() };
};

const removeEverything = async (runtime: Runtime): Promise<void> => {
  const { signal } = new AbortController();
  for (const observed of await runtime.inspect()) {
    const assignment = {
      containerId: observed.id,
      container: null,
      target: 'Absent' as const,
      stopTimeoutSeconds: 0,
      instanceId: randomUUID(),
    };
    const recorder = new StepRecorder(systemClock, () => undefined);
    await executePlan({ runtime, clock: systemClock }, plan(assignment, observed), { recorder, signal });
  }
};

const openLinux = async (options: AgentOptions, log: Log): Promise<OpenRuntime> => {
  if (options.artifacts === undefined)
    throw new StartupError(EXIT_CODES.usage, 'The Linux runtime needs --artifacts FOLDER. See --help.');
  // Loaded only if it is used, because it is a third of the agent's code.
  const { openLinuxHost } = await import('./runtimes/linux/open-host.ts');
  try {
    const runtime = await openLinuxHost({
      clock: systemClock,
      log,
      newId: randomUUID,
      randomBytes,
      artifactsFolder: options.artifacts,
      stateFolder: stateFiles(options.stateDir).linux,
      poolSize: options.warmVms,
      poolResources: DEFAULT_RESOURCES,
      imageFolders: options.imageFolder,
      allowPrivate: options.allowPrivate,
    });
    return {
      runtime,
      async release() {
        if (options.ephemeral) await removeEverything(runtime);
        await runtime.shutDown();
      },
    };
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    const suggestion = error.suggestion === undefined ? '' : ` ${error.suggestion}`;
    throw new StartupError(EXIT_CODES.runtimeUnusable, `${messageOf(error)}.${suggestion}`, error);
  }
};

/**
 * Opens the runtime that the options select, and recovers the state of an earlier agent.
 * @throws {StartupError} with the reason, if this machine does not support it
 */
export const openRuntime = async (options: AgentOptions, log: Log): Promise<OpenRuntime> =>
  options.runtime === 'linux' ? openLinux(options, log) : openSimulated(options);
