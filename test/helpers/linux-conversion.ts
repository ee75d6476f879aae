import { systemClock } from '../../agent/clock.ts';
import { applyVerb } from '../../agent/execute/apply-verb.ts';
import { StepRecorder } from '../../agent/execute/step-recorder.ts';
import type { Runtime } from '../../agent/runtimes/runtime.ts';
import { createMemoryState } from '../../agent/state/memory-state.ts';
import type { AssignedContainer, CommandArguments } from '../../core/contract/agent/commands.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: console.error };

export interface Converted {
  readonly downtimeMs: number | null | undefined;
  readonly steps: readonly OperationStep[];
}

type ContainerArguments = Extract<CommandArguments, { verb: 'convertContainer' | 'restoreContainer' }>;

const carryOut = async (
  runtime: Runtime,
  one: AssignedContainer,
  args: ContainerArguments,
  runningInstance: string | null,
): Promise<Converted> => {
  const recorder = new StepRecorder(systemClock, () => undefined);
  const command = {
    // As in the control plane: different for each conversion, and the same when a conversion is repeated.
    id: `${args.verb}-${args.container.runtimeType}-${one.id}`,
    hostId: one.id,
    containerId: one.id,
    epoch: 2,
    ttlSeconds: 300,
    arguments: args,
  };
  const deps = { state: createMemoryState(systemClock), runtime, clock: systemClock, log: SILENT };
  const { downtimeMs } = await applyVerb(deps, {
    command,
    containerId: one.id,
    args,
    context: { layerExisted: true, runningInstance },
    recorder,
    signal: new AbortController().signal,
  });
  return { downtimeMs, steps: recorder.steps };
};

/**
 * Converts a container as the agent does. @param one the container before the conversion
 * @param runningInstance the run that was running when the command first started
 */
export const convert = (
  runtime: Runtime,
  one: AssignedContainer,
  to: RuntimeType,
  runningInstance: string | null,
  onFailure: 'restore' | 'stop' = 'restore',
  acceptUntrustedDisk = to === 'Default',
): Promise<Converted> => {
  const container = { ...one, runtimeType: to };
  const args = {
    verb: 'convertContainer' as const,
    container,
    from: one.runtimeType,
    timeoutSeconds: 0,
    acceptUntrustedDisk,
    onFailure,
  };
  return carryOut(runtime, one, args, runningInstance);
};

/** The command with which the control plane requests the rollback again, if the host could not complete it. */
export const restore = (runtime: Runtime, one: AssignedContainer, to: 'Off' | 'Running') =>
  carryOut(runtime, one, { verb: 'restoreContainer', to, container: one }, null);

/** A runtime that calls hooks before and after the first call of one of its verbs. */
export const around = (
  runtime: Runtime,
  verb: keyof Runtime,
  { before, after }: { readonly before?: () => unknown; readonly after?: () => unknown },
): Runtime => {
  let done = false;
  return new Proxy(runtime, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      const bound = value.bind(target) as (...given: unknown[]) => unknown;
      if (name !== verb) return bound;
      return async (...given: unknown[]) => {
        if (done) return bound(...given);
        done = true;
        await before?.();
        const result = await bound(...given);
        await after?.();
        return result;
      };
    },
  });
};
