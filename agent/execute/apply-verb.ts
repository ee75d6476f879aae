import type { AssignedContainer, Command } from '../../core/contract/agent/commands.ts';
import { DEFAULT_STOP_SECONDS } from '../../core/contract/container.ts';
import { CommandRefusedError, messageOf, StepAbortedError } from '../errors.ts';
import { type Assignment, plan, type Target } from '../plan/plan.ts';
import type { RuntimeContainer } from '../runtimes/runtime.ts';
import type { ContainerChange } from '../state/agent-state.ts';
import type { ContainerArguments, ContainerVerbDeps, ContainerWork } from './container-work.ts';
import { convertContainer } from './convert-container.ts';
import { executePlan, StepFailure } from './execute-plan.ts';
import { inspectContainer } from './inspect-container.ts';
import { safeRollback } from './safe-rollback.ts';

interface Intent {
  readonly target: Target;
  readonly container: AssignedContainer | null;
  readonly stopTimeoutSeconds: number;
  /** No effect if the container is already further along. */
  readonly atLeast: boolean;
  /** A running main process is replaced by a new one. */
  readonly replaces: boolean;
  /** Target of the undo after a failure; null if the reached state stays for a later command. */
  readonly undo: 'before' | 'Off' | null;
}

type RestoreArguments = Extract<ContainerArguments, { verb: 'restoreContainer' }>;

/** The target of undoing an operation, limited by the host's safety. */
const restoringIntent = (
  { to, container: was }: RestoreArguments,
  observed: RuntimeContainer | null,
): Intent => {
  const { container, target } = safeRollback({ container: was, target: to }, observed);
  const usual = { stopTimeoutSeconds: DEFAULT_STOP_SECONDS, atLeast: false, replaces: false } as const;
  return { ...usual, target, container, undo: null };
};

/** The target of a verb for the planner. */
const intentOf = (
  args: Exclude<ContainerArguments, { verb: 'convertContainer' | 'restoreContainer' }>,
): Intent => {
  const usual = { stopTimeoutSeconds: DEFAULT_STOP_SECONDS, atLeast: false, replaces: false } as const;
  switch (args.verb) {
    case 'prepareContainer':
      return { ...usual, target: 'Off', container: args.container, atLeast: true, undo: 'before' };
    case 'provisionUtilityVm':
      return { ...usual, target: 'Provisioned', container: args.container, atLeast: true, undo: 'before' };
    case 'startContainer':
      return { ...usual, target: 'Running', container: args.container, atLeast: true, undo: 'before' };
    case 'restartContainer': {
      const { container, timeoutSeconds: stopTimeoutSeconds } = args;
      return { ...usual, target: 'Running', container, stopTimeoutSeconds, replaces: true, undo: 'Off' };
    }
    case 'stopContainer':
      return {
        ...usual,
        target: 'Off',
        container: null,
        stopTimeoutSeconds: args.timeoutSeconds,
        undo: null,
      };
    case 'removeContainer':
      return { ...usual, target: 'Absent', container: null, stopTimeoutSeconds: 0, undo: null };
  }
};

interface Applied {
  /** Downtime of the main process in a conversion, in milliseconds; null if there was none or it is unknown. */
  readonly downtimeMs?: number | null;
}

/** Applies a verb to its container. Throws on failure, after undoing unfinished changes. */
export const applyVerb = async (deps: ContainerVerbDeps, work: ContainerWork): Promise<Applied> => {
  const { args } = work;
  if (args.verb === 'convertContainer') return { downtimeMs: await convertContainer(deps, work, args) };
  const observed = await inspectContainer(deps.runtime, work.containerId);
  const intent = args.verb === 'restoreContainer' ? restoringIntent(args, observed) : intentOf(args);
  refuseIfImpossible(work, intent, observed);
  const before = deps.state.container(work.containerId)?.desired ?? 'Off';
  deps.state.update(work.containerId, changeOf(work.command, intent, observed, before));
  try {
    await reach(deps, work, intent, observed);
  } catch (error) {
    if (intent.undo !== null) await undo(deps, work, intent, error);
    // A container that should have stopped and still runs keeps its desired state and restart policy.
    else if ((await inspectContainer(deps.runtime, work.containerId))?.process?.running)
      deps.state.update(work.containerId, { desired: before });
    throw error;
  }
  if (intent.target === 'Absent') deps.state.update(work.containerId, { container: null });
  return {};
};

const reach = async (
  deps: ContainerVerbDeps,
  work: ContainerWork,
  intent: Intent,
  observed: RuntimeContainer | null,
): Promise<void> => {
  // This command already started the run before the agent crashed.
  if (observed?.process?.instanceId === work.command.id) return;
  const assignment = assignmentOf(work, intent, intent.target);
  if (intent.replaces && observed?.process?.running) {
    await executePlan(deps, plan({ ...assignment, target: 'Off' }, observed), work);
    await executePlan(deps, plan(assignment, await inspectContainer(deps.runtime, work.containerId)), work);
    return;
  }
  if (intent.atLeast && isReached(intent, observed)) return;
  await executePlan(deps, plan(assignment, observed), work);
};

const assignmentOf = (
  { containerId, command }: ContainerWork,
  intent: Intent,
  target: Target,
): Assignment => ({
  containerId,
  container: intent.container,
  target,
  stopTimeoutSeconds: intent.stopTimeoutSeconds,
  instanceId: command.id,
});

/** Whether a container has reached the target of a verb, or is beyond it. */
const isReached = (intent: Intent, observed: RuntimeContainer | null): boolean => {
  if (observed === null || observed.runtimeType !== intent.container?.runtimeType) return false;
  if (observed.process?.running) return true;
  return intent.target === 'Off' && observed.writableLayer;
};

const refuseIfImpossible = (
  { args, containerId }: ContainerWork,
  { container, atLeast }: Intent,
  observed: RuntimeContainer | null,
): void => {
  if (container !== null && container.id !== containerId)
    throw new CommandRefusedError('validation-failed', 'The command names two different containers.');
  if (args.verb === 'provisionUtilityVm' && container?.runtimeType !== 'HyperV')
    throw new CommandRefusedError('validation-failed', 'Only a HyperV container has a utility VM.');
  if (atLeast && observed?.process?.running && observed.runtimeType !== container?.runtimeType)
    throw new CommandRefusedError(
      'invalid-state',
      `The container is running as ${observed.runtimeType}, and cannot become ${container?.runtimeType}.`,
      { suggestion: 'Stop it first, or convert it.' },
    );
};

/** The journal's record of the container before any change. */
const changeOf = (
  command: Command,
  { target, container, atLeast }: Intent,
  observed: RuntimeContainer | null,
  before: Target,
): ContainerChange => {
  const runs = observed?.process?.running ?? false;
  const desired = atLeast && runs && target !== 'Running' ? before : target;
  const starts = target === 'Running' && !(atLeast && runs);
  return {
    appliedEpoch: command.epoch,
    desired,
    ...(container === null ? {} : { container }),
    ...(starts ? { restartCount: 0, backoffMs: 0 } : {}),
  };
};

/**
 * Undoes the unfinished changes of a failed command. Does nothing if a newer command has superseded it, because that
 * command plans from the actual state, or while a step that cannot be stopped still runs.
 */
const undo = async (
  deps: ContainerVerbDeps,
  work: ContainerWork,
  intent: Intent,
  error: unknown,
): Promise<void> => {
  const cause = error instanceof StepFailure ? error.cause : error;
  if (cause instanceof StepAbortedError && cause.code === 'operation-aborted') return;
  if (error instanceof StepFailure && error.lasting !== null) return;
  const target = intent.undo === 'before' && !work.context.layerExisted ? 'Absent' : 'Off';
  deps.state.update(work.containerId, { desired: target });
  const assignment = { ...assignmentOf(work, intent, target), container: null };
  const observed = await inspectContainer(deps.runtime, work.containerId);
  const { recorder } = work;
  try {
    const signal = new AbortController().signal;
    await executePlan(deps, plan(assignment, observed), { recorder, signal, detail: 'undo' });
  } catch (failure) {
    deps.log.error('could not undo the unfinished changes of a command', {
      containerId: work.containerId,
      commandId: work.command.id,
      cause: messageOf(failure),
    });
  }
};
