import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { HostFacts } from '../../../core/contract/host.ts';
import { type Clock, sleep } from '../../clock.ts';
import { RuntimeError } from '../../errors.ts';
import type { Runtime, RuntimeContainer } from '../runtime.ts';
import { behaviourOf } from './commands.ts';
import { type SimulatedMachine, simulatedDigest } from './kinds.ts';
import { containerProcesses, hostProcesses, workerProcess } from './process-tables.ts';
import type { Run, SimulatedContainer, World } from './world.ts';

/** How long a step takes, in milliseconds: evenly spread between the two. */
export interface Delays {
  readonly min: number;
  readonly max: number;
}
export const DEFAULT_DELAYS: Delays = { min: 5, max: 20 };

export interface SimulatedRuntimeDeps {
  readonly machine: SimulatedMachine;
  readonly world: World;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly delays: Delays;
  readonly newId: () => string;
  /** Ends this process at once, as a power cut would: for the faults that say so. */
  readonly die: () => never;
}

/** Exit code of a process that was forced to end: 128 + SIGKILL. One that ends when asked ends with 0. */
const FORCED_EXIT_CODE = 137;

/** A machine that exists in a file, and behaves as the documentation shows. For tests and for trying Bulkhead out. */
export const createSimulatedRuntime = (deps: SimulatedRuntimeDeps): Runtime => {
  const { machine, world, clock } = deps;
  const family = machine.facts.os.family;
  const listeners: ((containerId: string) => void)[] = [];
  const timers = new Map<string, () => void>();

  /** Takes a step's time, and lets a fault happen in place of it or after it. */
  const act = async (step: string, signal: AbortSignal, effect: () => void): Promise<void> => {
    signal.throwIfAborted();
    const fault = world.takeFault(step);
    if (fault === 'die-before') deps.die();
    if (fault === 'hang') await sleep(clock, Number.MAX_SAFE_INTEGER % 2 ** 31, signal);
    await sleep(clock, deps.delays.min + deps.random() * (deps.delays.max - deps.delays.min), signal);
    if (fault === 'fail')
      throw new RuntimeError('step-failed', `The simulated machine was told to fail at ${step}.`);
    effect();
    if (fault === 'die-after') deps.die();
  };

  const commandOf = (one: SimulatedContainer) => one.container.spec.command ?? machine.defaultCommand;

  const end = (id: string, exitCode: number, exitReason: string | null) => {
    timers.get(id)?.();
    timers.delete(id);
    world.change(id, ({ run }) =>
      run === null || run.endedAt !== null
        ? {}
        : { run: { ...run, endedAt: clock.now().getTime(), exitCode, exitReason } },
    );
  };

  /** Lets time pass for a container: a run whose end has come has ended. Returns whether it ended by that. */
  const settle = (one: SimulatedContainer): boolean => {
    const { run } = one;
    if (run === null || run.endedAt !== null || run.endsAt === null) return false;
    if (clock.now().getTime() < run.endsAt) return false;
    end(one.id, run.endsWith, `The main process ended with exit code ${run.endsWith}.`);
    return true;
  };

  const watch = (id: string, endsAt: number) => {
    timers.get(id)?.();
    const wait = Math.min(Math.max(0, endsAt - clock.now().getTime()), 2 ** 31 - 1);
    const onTime = () => {
      const one = world.container(id);
      if (one !== null && settle(one)) for (const listener of listeners) listener(id);
      else if (one?.run?.endedAt === null) watch(id, endsAt);
    };
    timers.set(id, clock.after(wait, onTime));
  };

  const known = (container: AssignedContainer): SimulatedContainer => {
    const found = world.container(container.id);
    if (found === null)
      throw new RuntimeError(
        'invalid-state',
        `Container ${container.id} has no writable layer on this host.`,
      );
    return found;
  };

  const begin = (container: AssignedContainer, instanceId: string) => {
    const one = known(container);
    if (one.runs.includes(instanceId)) return;
    const command = container.spec.command ?? machine.defaultCommand;
    const behaviour = behaviourOf(family, command);
    if (behaviour.kind === 'notFound')
      throw new RuntimeError(
        'step-failed',
        `The image has no program "${behaviour.program.slice(0, 200)}".`,
        {
          suggestion: 'Create the container with a command that its image has.',
        },
      );
    const now = clock.now().getTime();
    const run: Run = {
      instanceId,
      startedAt: now,
      endsAt: behaviour.seconds === null ? null : now + behaviour.seconds * 1_000,
      endsWith: behaviour.exitCode,
      stubborn: behaviour.stubborn,
      endedAt: null,
      exitCode: null,
      exitReason: null,
    };
    world.change(one.id, ({ runs }) => ({ container, run, runs: [...runs, instanceId] }));
    if (run.endsAt !== null) watch(one.id, run.endsAt);
  };

  const describe = (one: SimulatedContainer): RuntimeContainer => ({
    id: one.id,
    runtimeType: one.container.runtimeType,
    writableLayer: true,
    utilityVm: one.utilityVm,
    networkEndpoint: one.networkEndpoint,
    disksAttached: one.disksAttached,
    layersMounted: one.layersMounted,
    process:
      one.run === null
        ? null
        : {
            instanceId: one.run.instanceId,
            running: one.run.endedAt === null,
            startedAt: new Date(one.run.startedAt),
            endedAt: one.run.endedAt === null ? null : new Date(one.run.endedAt),
            exitCode: one.run.exitCode,
            exitReason: one.run.exitReason,
          },
    workerProcess: workerProcess(family, one),
  });

  for (const one of world.containers())
    if (one.run?.endedAt === null && one.run.endsAt !== null) watch(one.id, one.run.endsAt);

  return {
    name: 'simulated',
    facts: async (): Promise<HostFacts> => machine.facts,
    images: async () => world.images(),
    inspect: async (containerId) => {
      const found = () =>
        containerId === undefined
          ? world.containers()
          : [world.container(containerId)].flatMap((one) => one ?? []);
      const ended = found().map(settle).includes(true);
      void ended;
      return found().map(describe);
    },

    createWritableLayer: (container, signal) =>
      act('createWritableLayer', signal, () => {
        if (world.container(container.id) !== null) return;
        if (world.image(container.spec.image) === null)
          throw new RuntimeError('image-not-found', `This host has no image "${container.spec.image}".`);
        world.add({
          id: container.id,
          container,
          layerId: deps.newId(),
          utilityVm: 'Absent',
          networkEndpoint: false,
          disksAttached: false,
          layersMounted: false,
          run: null,
          runs: [],
        });
      }),
    setRuntimeType: (container, signal) =>
      act('setRuntimeType', signal, () => {
        if (known(container).container.runtimeType === container.runtimeType) return;
        if (machine.facts.capabilities.runtimeConversion !== 'inPlace')
          throw new RuntimeError(
            'runtime-conversion-unsupported',
            `A ${machine.facts.os.sku} host cannot convert a container's runtime type.`,
          );
        world.change(container.id, () => ({ container }));
      }),
    createUtilityVm: (container, signal) =>
      act('createUtilityVm', signal, () => {
        if (known(container).utilityVm === 'Absent')
          world.change(container.id, () => ({ utilityVm: 'Created' }));
      }),
    connectGuest: (id, signal) =>
      act('connectGuest', signal, () =>
        world.change(id, (now) => (now.utilityVm === 'Absent' ? {} : { utilityVm: 'Connected' })),
      ),
    createNetworkEndpoint: (container, signal) =>
      act('createNetworkEndpoint', signal, () => {
        const wanted = container.spec.switchName.toLowerCase();
        if (!machine.facts.switches.some((name) => name.toLowerCase() === wanted))
          throw new RuntimeError(
            'switch-not-found',
            `This host has no switch "${container.spec.switchName}".`,
          );
        world.change(container.id, () => ({ networkEndpoint: true }));
      }),
    attachDisks: (container, signal) =>
      act('attachDisks', signal, () => {
        if (known(container).utilityVm !== 'Connected')
          throw new RuntimeError('invalid-state', 'Disks can only be attached to a utility VM that answers.');
        world.change(container.id, () => ({ disksAttached: true }));
      }),
    mountLayers: (container, signal) =>
      act('mountLayers', signal, () => {
        if (container.runtimeType === 'HyperV' && !known(container).disksAttached)
          throw new RuntimeError('invalid-state', 'The layers of a utility VM are mounted from its disks.');
        world.change(container.id, () => ({ layersMounted: true }));
      }),
    startProcess: (container, instanceId, signal) =>
      act('startProcess', signal, () => begin(container, instanceId)),

    stopProcess: async (id, timeoutSeconds, signal) => {
      const run = world.container(id)?.run;
      if (run?.endedAt === null && run.stubborn && timeoutSeconds > 0)
        await sleep(clock, timeoutSeconds * 1_000, signal);
      await act('stopProcess', signal, () => {
        const force = timeoutSeconds === 0 || run?.stubborn === true;
        if (force) end(id, FORCED_EXIT_CODE, 'The main process was forced to end.');
        else end(id, 0, 'The main process was asked to end.');
      });
    },
    unmountLayers: (id, signal) =>
      act('unmountLayers', signal, () => world.change(id, () => ({ layersMounted: false }))),
    detachDisks: (id, signal) =>
      act('detachDisks', signal, () => world.change(id, () => ({ disksAttached: false }))),
    removeNetworkEndpoint: (id, signal) =>
      act('removeNetworkEndpoint', signal, () => world.change(id, () => ({ networkEndpoint: false }))),
    destroyUtilityVm: (id, signal) =>
      act('destroyUtilityVm', signal, () => {
        end(id, FORCED_EXIT_CODE, 'The utility VM was destroyed.');
        world.change(id, () => ({ utilityVm: 'Absent', disksAttached: false, layersMounted: false }));
      }),
    removeWritableLayer: (id, signal) => act('removeWritableLayer', signal, () => world.remove(id)),

    listProcesses: async (id) => {
      const one = world.container(id);
      if (one?.run == null || settle(one) || one.run.endedAt !== null)
        throw new RuntimeError('invalid-state', 'The container is not running.');
      return containerProcesses(family, one, commandOf(one));
    },
    listHostProcesses: async () => hostProcesses(family, world.containers(), commandOf),
    importImage: async ({ name, source, digest }, signal) => {
      const from = 'path' in source ? source.path : source.reference;
      const facts = {
        name,
        version: '1',
        os: family,
        osBuild: machine.facts.os.build,
        architecture: machine.facts.architecture,
        source: from,
        digest: simulatedDigest(`${name} from ${from}`),
      };
      if (digest !== undefined && digest !== facts.digest)
        throw new RuntimeError('step-failed', `The image has digest ${facts.digest}, and not ${digest}.`);
      await act('importImage', signal, () => world.putImage(facts));
      return facts;
    },
    removeImage: async (name) => {
      const user = world
        .containers()
        .find((one) => one.container.spec.image.toLowerCase() === name.toLowerCase());
      if (user)
        throw new RuntimeError(
          'image-in-use',
          `Container ${user.container.name} is made from image "${name}".`,
        );
      world.removeImage(name);
    },
    onExit: (listener) => void listeners.push(listener),
    close: () => {
      for (const cancel of timers.values()) cancel();
      timers.clear();
      world.close();
    },
  };
};
