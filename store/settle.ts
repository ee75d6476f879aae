import { WORKFLOW_ERRORS, type WorkflowInput } from '../core/contract/deployment.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { type Problem, ProblemSchema } from '../core/contract/problem.ts';
import { holdsCapacity } from '../core/domain/container-state.ts';
import { isEnded } from '../core/domain/operation-state.ts';
import { settledState } from '../core/domain/settlement.ts';
import { deleteCommands } from './commands.ts';
import { newOperation } from './operations.ts';
import type { CommandRecord, ContainerRecord, OperationRecord } from './records.ts';
import {
  addOperation,
  decideAgain,
  endedOperation,
  nextContainer,
  replaceContainer,
  replaceOperation,
  type Stamp,
} from './transition.ts';
import {
  finalSteps,
  isCurrent,
  lastObserved,
  letGoOf,
  readCommands,
  readWorkflow,
  settledType,
  turnedOn,
  typeWhenOff,
  type WorkflowDependencies,
} from './workflow.ts';

export interface Settled {
  readonly failure: { readonly error: string; readonly cause: string };
  /** Whether the host has confirmed that nothing half made is left. */
  readonly undone: boolean;
}

export type SettleOutcome =
  | {
      readonly kind: 'settled';
      readonly operation: OperationRecord;
      /** Host that must say how the container stands, where nobody knows. */
      readonly ask: string | null;
    }
  | { readonly kind: 'already-ended' };

/** The problem out of a cause of ours: a problem in JSON. Step Functions' own causes are not. */
const problemIn = (cause: string): Problem | undefined => {
  try {
    return ProblemSchema.parse(JSON.parse(cause));
  } catch {
    return undefined;
  }
};

/** What an operation failed of, in the words of the API. */
export const explainFailure = (
  { error, cause }: Settled['failure'],
  problem: WorkflowDependencies['problem'],
): Problem => {
  const given = problemIn(cause);
  if (given !== undefined) return given;
  switch (error) {
    case WORKFLOW_ERRORS.cancelled:
      return problem('operation-cancelled', 'The operation was cancelled.');
    case 'States.HeartbeatTimeout':
      return problem('host-not-answering', 'The host did not show in time that it is working on it.', {
        suggestion: 'Look at the host: its agent must be running and connected.',
      });
    case 'States.Timeout':
      return problem('deadline-exceeded', 'The operation was not done by its deadline.');
    case WORKFLOW_ERRORS.superseded:
    case 'ABORTED':
      return problem('operation-aborted', 'The workflow of the operation was ended from outside.');
    case WORKFLOW_ERRORS.stepFailed:
      return problem('step-failed', 'A step failed on the host.');
    default:
      return problem('internal', 'The workflow of the operation failed.', { context: { error } });
  }
};

/** Verbs in which the container's own code may have run, though nobody can say so afterwards. */
const RUNS_CODE: readonly string[] = ['startContainer', 'restartContainer', 'convertContainer'];

/** Runtime types that it has run under, with those that an unfinished command may have begun to run it under. */
const mayHaveRunAs = (
  { ranAs, stateBefore }: ContainerRecord,
  commands: readonly CommandRecord[],
): readonly RuntimeType[] => {
  const tried = commands.flatMap(({ command: { arguments: given } }) => {
    if (!RUNS_CODE.includes(given.verb) || !('container' in given)) return [];
    return given.verb === 'convertContainer' && stateBefore === 'Off' ? [] : [given.container.runtimeType];
  });
  return [...new Set([...ranAs, ...tried])];
};

/** Whether the main process that runs now is not the one that ran before the operation. */
const wasStopped = (commands: readonly CommandRecord[]): boolean =>
  commands.some(({ result }) => result?.steps.some(({ name }) => name === 'StopProcess') ?? false);

const settledContainer = (
  container: ContainerRecord,
  operation: OperationRecord,
  commands: readonly CommandRecord[],
  given: { readonly error: Problem; readonly undone: boolean; readonly stamp: Stamp },
): ContainerRecord => {
  const observed = lastObserved(commands);
  const { view } = container;
  const runtimeType = typeWhenOff(view.runtimeType, observed);
  const { state, onHost } = settledState({
    kind: operation.view.kind,
    stateBefore: container.stateBefore,
    cancelled: given.error.code === 'operation-cancelled',
    commanded: commands.length > 0 || operation.parameters.restores === true,
    undone: given.undone,
    observed: observed?.phase ?? null,
    keptInVm: runtimeType !== view.runtimeType,
  });
  const ranAs = mayHaveRunAs(container, commands);
  if (state === 'Running' && observed !== null) {
    const startedAt = view.startedAt === null || wasStopped(commands) ? given.stamp.at : view.startedAt;
    const running = turnedOn({ ...container, ranAs }, observed, startedAt, given.stamp);
    return { ...running, view: { ...running.view, lastError: given.error } };
  }
  const holds = holdsCapacity(state);
  // Where nobody knows what it is, what it may be stays held.
  const held =
    state === 'Unknown'
      ? { reservation: container.reservation }
      : {
          reservation: settledType(container, view.runtimeType, view.runtimeType).reservation,
          conversion: null,
        };
  return nextContainer(
    container,
    {
      ...held,
      ...(holds ? {} : { reservation: null, conversion: null }),
      ...(onHost ? {} : { heldDiskMB: 0 }),
      ranAs,
      stateBefore: null,
      observedSequence: observed?.sequence ?? container.observedSequence ?? null,
      view: {
        state,
        runtimeType,
        activeOperationId: null,
        lastError: given.error,
        ...(onHost ? {} : { hostId: null }),
        ...(holds ? {} : { startedAt: null, exitCode: observed?.exitCode ?? null }),
      },
    },
    given.stamp,
  );
};

/**
 * Whether nobody has brought the container where its failed conversion is to leave it. One that fails closed is to be
 * stopped also where no host has been told anything; of any other only what its host may have begun is undone.
 */
const lacksWayBack = (
  { view, parameters }: OperationRecord,
  commands: readonly CommandRecord[],
  undone: boolean,
): boolean => {
  if (view.kind !== 'convert' || parameters.restores === true) return false;
  const observed = lastObserved(commands);
  if (parameters.failsClosed === true)
    return observed === null || (observed.phase === 'Running' && observed.runtimeType === 'Default');
  return !undone && commands.length > 0 && observed === null;
};

/**
 * The operation that brings a container where its conversion should have left it: it takes the container over as it
 * stands, with what is held for either type. Its execution is started by the table's stream.
 */
const wayBack = (
  { newId, now }: WorkflowDependencies,
  container: ContainerRecord,
  { operation, commands, error }: Failed,
): { readonly taken: ContainerRecord; readonly back: OperationRecord } => {
  const moment = now();
  const id = newId();
  const { runtimeType } = container.view;
  const taken = nextContainer(
    container,
    {
      epoch: container.epoch + 1,
      ranAs: mayHaveRunAs(container, commands),
      view: { activeOperationId: id, lastError: error },
    },
    { at: moment.toISOString(), actor: 'bulkhead' },
  );
  const failsClosed = operation.parameters.failsClosed === true;
  const parameters = { runtimeType, restores: true, ...(failsClosed && { failsClosed }) };
  const back = newOperation(taken, { id, kind: 'convert', actor: 'bulkhead', parameters, now: moment });
  const asked = operation.parameters.runtimeType ?? runtimeType;
  const conversion = failsClosed
    ? { from: runtimeType, to: asked, downtimeMs: null }
    : { from: asked, to: runtimeType, downtimeMs: null };
  return { taken, back: { ...back, view: { ...back.view, conversion } } };
};

interface Failed {
  readonly operation: OperationRecord;
  readonly commands: readonly CommandRecord[];
  readonly error: Problem;
}

/**
 * Ends an operation that came to nothing, exactly once: Failed with the reason, or Cancelled; and leaves its container
 * where it really is, or `Unknown` where nobody can tell.
 */
export const settleOperation = (
  deps: WorkflowDependencies,
  input: WorkflowInput,
  { failure, undone }: Settled,
): Promise<SettleOutcome> =>
  decideAgain(async (): Promise<SettleOutcome> => {
    const found = await readWorkflow(deps.table, input);
    if (found === undefined || isEnded(found.operation.view.state)) return { kind: 'already-ended' };
    const { operation, container } = found;
    const commands = await readCommands(deps.table, found);
    const at = deps.now().toISOString();
    const explained = explainFailure(failure, deps.problem);
    const overtaken = failure.error === WORKFLOW_ERRORS.cancelled;
    const error = overtaken ? deps.problem('operation-cancelled', 'The operation was cancelled.') : explained;
    const ended = endedOperation(
      operation,
      overtaken ? 'Cancelled' : 'Failed',
      { error, steps: finalSteps(operation, commands, at) },
      at,
    );
    const mine = container !== undefined && isCurrent(found, input);
    if (mine && container.tombstone === null && lacksWayBack(operation, commands, undone)) {
      const { taken, back } = wayBack(deps, container, { operation, commands, error });
      await deps.table.transact([
        replaceOperation(operation, ended),
        replaceContainer(container, taken),
        addOperation(back),
      ]);
      await deleteCommands(deps.table, commands);
      return { kind: 'settled', operation: ended, ask: null };
    }
    const after = mine
      ? settledContainer(container, operation, commands, {
          error,
          undone,
          stamp: { at, actor: operation.actor },
        })
      : undefined;
    await deps.table.transact([
      replaceOperation(operation, ended),
      ...(mine && after !== undefined
        ? await letGoOf(deps, { before: container, after, observed: lastObserved(commands) })
        : []),
    ]);
    await deleteCommands(deps.table, commands);
    const ask = after?.view.state === 'Unknown' ? after.view.hostId : null;
    return { kind: 'settled', operation: ended, ask };
  });
