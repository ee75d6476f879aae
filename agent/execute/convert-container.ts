import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { messageOf, RuntimeError, StepAbortedError } from '../errors.ts';
import { type Assignment, plan } from '../plan/plan.ts';
import type { RuntimeContainer } from '../runtimes/runtime.ts';
import { refuseUntrustedDisk } from '../runtimes/untrusted-disk.ts';
import type { ContainerArguments, ContainerVerbDeps, ContainerWork } from './container-work.ts';
import { executePlan, StepFailure } from './execute-plan.ts';
import { inspectContainer } from './inspect-container.ts';
import { type Rollback, safeRollback } from './safe-rollback.ts';

/**
 * Runtime conversion: quiesce (stop, unmount, detach), switch (change the type, start on the same layer), verify.
 *
 *     was running ─► stopped ─► converted ─► started ─► verified running
 *          ▲            └───────────┴────────────┴──────────┘
 *          └──────────── restored with the old type          any failure (`onFailure: restore`)
 *                        or off, with the new type           its code has run in a VM, or `onFailure: stop`
 *
 * - A container that ran when the command first started runs at the end. A program that had ended by then is not run again,
 *   regardless of the control plane's record.
 * - After a crash of the agent, the next agent continues from the observed state. After a failure, this host restores the
 *   container without the control plane, so that a lost connection does not leave the container down.
 * - A newer command has priority: a conversion that it aborts is neither continued nor undone.
 */
type ConvertArguments = Extract<ContainerArguments, { verb: 'convertContainer' }>;

const VERIFY = 'Verify';

/**
 * Converts a container.
 *
 * @returns the downtime from the end of the old main process until the new one was verified, in milliseconds; null if off
 * @throws {StepFailure} the cause of the failure, after restoring the container if possible
 */
export const convertContainer = async (
  deps: ContainerVerbDeps,
  work: ContainerWork,
  args: ConvertArguments,
): Promise<number | null> => {
  const { state } = deps;
  const { containerId, command } = work;
  const found = await inspectContainer(deps.runtime, containerId);
  // Checked before anything is stopped.
  if (found !== null && found.runtimeType !== args.container.runtimeType)
    refuseUntrustedDisk(found, args.container, args.acceptUntrustedDisk === true);
  const before = state.container(containerId)?.desired ?? 'Off';
  const ran = work.context.runningInstance !== null;
  // A container that waits for its next restart keeps waiting, with its new type.
  const desired = ran || before === 'Running' ? 'Running' : 'Off';
  state.update(containerId, { appliedEpoch: command.epoch, container: args.container, desired });
  try {
    return ran ? await replaceRunning(deps, work, args) : await changeType(deps, work, args);
  } catch (error) {
    const end = await endAfterFailure(deps, work, args);
    // A container that waited for its next restart keeps waiting, with its old type.
    const waits = end.container.runtimeType === args.from && before === 'Running';
    state.update(containerId, { container: end.container, desired: waits ? before : end.target });
    await rollBack(deps, work, { ...end, timeoutSeconds: args.timeoutSeconds }, error);
    throw error;
  }
};

/** The target state after a failed conversion. */
const endAfterFailure = async (
  { runtime }: ContainerVerbDeps,
  { containerId, context }: ContainerWork,
  args: ConvertArguments,
): Promise<Rollback> => {
  if (args.onFailure === 'stop') return { container: args.container, target: 'Off' };
  const wanted: Rollback = {
    container: previous(args),
    target: context.runningInstance === null ? 'Off' : 'Running',
  };
  // Without an observation the runtime itself refuses forbidden steps.
  return safeRollback(wanted, await inspectContainer(runtime, containerId).catch(() => null));
};

const previous = ({ container, from }: ConvertArguments): AssignedContainer => ({
  ...container,
  runtimeType: from,
});

const assignmentOf = (
  { containerId, command, context }: ContainerWork,
  container: AssignedContainer,
  { timeoutSeconds, acceptUntrustedDisk = false }: ConvertArguments,
): Assignment => ({
  containerId,
  container,
  target: context.runningInstance === null ? 'Off' : 'Running',
  stopTimeoutSeconds: timeoutSeconds,
  instanceId: command.id,
  acceptUntrustedDisk,
});

const changeType = async (
  deps: ContainerVerbDeps,
  work: ContainerWork,
  args: ConvertArguments,
): Promise<null> => {
  const observed = await inspectContainer(deps.runtime, work.containerId);
  await executePlan(deps, plan(assignmentOf(work, args.container, args), observed), work);
  return null;
};

const replaceRunning = async (
  deps: ContainerVerbDeps,
  work: ContainerWork,
  args: ConvertArguments,
): Promise<number | null> => {
  const { runtime, clock } = deps;
  const assignment = assignmentOf(work, args.container, args);
  const observed = await inspectContainer(runtime, work.containerId);
  const isNew = observed?.process?.instanceId === work.command.id;
  let stoppedMs: number | null = null;
  if (observed?.process?.running && observed.runtimeType !== args.container.runtimeType) {
    const [stop] = plan({ ...assignment, target: 'Off' }, observed);
    if (stop !== undefined) await executePlan(deps, [stop], work);
    stoppedMs = clock.monotonicMs();
  }
  if (!isNew)
    await executePlan(deps, plan(assignment, await inspectContainer(runtime, work.containerId)), work);
  const now = await verify(deps, work, args);
  return stoppedMs === null ? laterDowntime(work, observed, now) : clock.monotonicMs() - stoppedMs;
};

/** Verifies that the new main process runs with the new type. */
const verify = async (
  { runtime }: ContainerVerbDeps,
  { containerId, recorder }: ContainerWork,
  { container }: ConvertArguments,
): Promise<RuntimeContainer> => {
  recorder.begin(VERIFY);
  const found = await inspectContainer(runtime, containerId);
  if (found?.process?.running && found.runtimeType === container.runtimeType) {
    recorder.end('Succeeded');
    return found;
  }
  const why = found?.process?.exitReason ?? 'it ended immediately';
  const cause = new RuntimeError(
    'process-exited',
    `The main process does not run as ${container.runtimeType}: ${why}`,
  );
  recorder.end('Failed', cause.message);
  throw new StepFailure(VERIFY, cause, null);
};

/** By this machine's wall clock, if an earlier agent stopped the old process; null if unknown. */
const laterDowntime = (
  { recorder }: ContainerWork,
  observed: RuntimeContainer | null,
  now: RuntimeContainer,
): number | null => {
  const startedAt = now.process?.startedAt.getTime();
  if (startedAt === undefined) return null;
  const stop = recorder.steps.find(({ name, state }) => name === 'StopProcess' && state === 'Succeeded');
  const stoppedAt =
    stop === undefined
      ? observed?.process?.endedAt?.getTime()
      : Date.parse(stop.startedAt) + (stop.durationMs ?? 0);
  return stoppedAt === undefined ? null : Math.max(0, startedAt - stoppedAt);
};

const rollBack = async (
  deps: ContainerVerbDeps,
  { recorder, containerId, command }: ContainerWork,
  { container, target, timeoutSeconds }: Rollback & Pick<ConvertArguments, 'timeoutSeconds'>,
  error: unknown,
): Promise<void> => {
  const cause = error instanceof StepFailure ? error.cause : error;
  if (cause instanceof StepAbortedError && cause.code === 'operation-aborted') return;
  if (error instanceof StepFailure && error.lasting !== null) return;
  const assignment: Assignment = {
    containerId,
    container,
    target,
    stopTimeoutSeconds: timeoutSeconds,
    instanceId: `${command.id}:back`,
  };
  try {
    const signal = new AbortController().signal;
    const steps = plan(assignment, await inspectContainer(deps.runtime, containerId));
    await executePlan(deps, steps, { recorder, signal, detail: 'undo' });
  } catch (failure) {
    // The control plane requests the rollback again.
    deps.log.error('could not undo a conversion', {
      containerId,
      commandId: command.id,
      cause: messageOf(failure),
    });
  }
};
