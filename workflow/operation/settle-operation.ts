import { WORKFLOW_ERRORS, type WorkflowInput } from '../../core/contract/deployment.ts';
import type { Problem } from '../../core/contract/problem.ts';
import { holdsCapacity } from '../../core/domain/container-state.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { settledState } from '../../core/domain/settlement.ts';
import { type CommandRecord, deleteCommands } from '../../store/commands.ts';
import { type ContainerRecord, replaceContainer } from '../../store/containers.ts';
import { addOperation, type OperationRecord, replaceOperation } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { isCurrent, readCurrentOperation } from './current-operation.ts';
import { explainFailure } from './explain-failure.ts';
import { endedOperation, nextContainer, type Stamp } from './next-records.ts';
import { laterExit, settledType, startedContainer, typeWhenOff } from './observed-container.ts';
import { releaseContainer } from './release-container.ts';
import { mayHaveRunAs, needsRollback, rollback } from './rollback.ts';
import { finalSteps, lastObserved, readCommands } from './steps.ts';

export interface Settled {
  readonly failure: { readonly error: string; readonly cause: string };
  /** Whether the host has confirmed that it removed everything half finished. */
  readonly undone: boolean;
}

type SettleOutcome =
  | {
      readonly kind: 'settled';
      readonly operation: OperationRecord;
      /** The host to ask for the container's state if that state is unknown. */
      readonly ask: string | null;
    }
  | { readonly kind: 'already-ended' };

/** Whether the operation stopped the main process, so that a running one is new. */
const wasStopped = (commands: readonly CommandRecord[]): boolean =>
  commands.some(({ result }) => result?.steps.some(({ name }) => name === 'StopProcess') ?? false);

const settledContainer = (
  container: ContainerRecord,
  operation: OperationRecord,
  commands: readonly CommandRecord[],
  given: { readonly error: Problem; readonly undone: boolean; readonly stamp: Stamp },
): ContainerRecord => {
  const result = lastObserved(commands);
  const observed = laterExit(container, result) ?? result;
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
    const running = startedContainer({ ...container, ranAs }, observed, startedAt, given.stamp);
    return { ...running, view: { ...running.view, lastError: given.error } };
  }
  const holds = holdsCapacity(state);
  // In an unknown state the capacity for every possible outcome stays reserved.
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
      exitReport: null,
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
 * Ends an operation that did not succeed, exactly once: as Failed with the reason, or as Cancelled. Its container gets
 * the state that its host reported, or `Unknown` if there is no report.
 */
export const settleOperation = (
  deps: WorkflowDependencies,
  input: WorkflowInput,
  { failure, undone }: Settled,
): Promise<SettleOutcome> =>
  retryOnConflict(async (): Promise<SettleOutcome> => {
    const found = await readCurrentOperation(deps.table, input);
    if (found === undefined) return { kind: 'already-ended' };
    if (isEnded(found.operation.view.state)) {
      // A command that its operation left behind would start this again.
      await deleteCommands(deps.table, await readCommands(deps.table, found));
      return { kind: 'already-ended' };
    }
    const { operation, container } = found;
    const commands = await readCommands(deps.table, found);
    const at = deps.now().toISOString();
    const explained = explainFailure(failure, deps.problem);
    const cancelled = failure.error === WORKFLOW_ERRORS.cancelled;
    const error = cancelled ? deps.problem('operation-cancelled', 'The operation was cancelled.') : explained;
    const ended = endedOperation(
      operation,
      cancelled ? 'Cancelled' : 'Failed',
      { error, steps: finalSteps(operation, commands, at) },
      at,
    );
    const mine = container !== undefined && isCurrent(found, input);
    if (mine && container.tombstone === null && needsRollback(operation, commands, undone)) {
      const { taken, back } = rollback(deps, container, { operation, commands, error });
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
        ? await releaseContainer(deps, { before: container, after, observed: lastObserved(commands) })
        : []),
    ]);
    await deleteCommands(deps.table, commands);
    const ask = after?.view.state === 'Unknown' ? after.view.hostId : null;
    return { kind: 'settled', operation: ended, ask };
  });
