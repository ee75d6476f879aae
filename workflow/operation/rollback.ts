import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { Problem } from '../../core/contract/problem.ts';
import type { CommandRecord } from '../../store/commands.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { WorkflowDependencies } from '../dependencies.ts';
import { newOperation } from './new-operation.ts';
import { nextContainer } from './next-records.ts';
import { lastObserved } from './steps.ts';

/** Verbs that may have run the container's code before they failed. */
const RUNS_CODE: readonly string[] = ['startContainer', 'restartContainer', 'convertContainer'];

/** Runtime types that the container has run as, including those that an unfinished command may have started it as. */
export const mayHaveRunAs = (
  { ranAs, stateBefore }: ContainerRecord,
  commands: readonly CommandRecord[],
): readonly RuntimeType[] => {
  const tried = commands.flatMap(({ command: { arguments: given } }) => {
    if (!RUNS_CODE.includes(given.verb) || !('container' in given)) return [];
    return given.verb === 'convertContainer' && stateBefore === 'Off' ? [] : [given.container.runtimeType];
  });
  return [...new Set([...ranAs, ...tried])];
};

/**
 * Whether a failed conversion still needs a rollback. A conversion that fails closed must stop the container even if
 * no command was sent; any other conversion needs a rollback only if its host may have started it.
 */
export const needsRollback = (
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
 * The operation that rolls a failed conversion back. It takes over the container as it is, with the capacity reserved
 * for either type. The table's stream starts its execution.
 */
export const rollback = (
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
