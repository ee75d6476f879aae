import { StateUnavailableError } from '../errors.ts';
import type { AgentState } from './agent-state.ts';

export type StateOperation = keyof AgentState;

/**
 * A journal with injected disk failures: `fails` decides before each operation, and a failing one changes nothing. With
 * `() => false` it behaves like the inner journal.
 */
export const createFailingState = (
  inner: AgentState,
  fails: (operation: StateOperation) => boolean,
): AgentState => {
  const guarded =
    <A extends unknown[], R>(operation: StateOperation, act: (...args: A) => R) =>
    (...args: A): R => {
      if (fails(operation)) throw new StateUnavailableError(`The journal failed at ${operation}.`);
      return act(...args);
    };
  return {
    receive: guarded('receive', inner.receive),
    refuse: guarded('refuse', inner.refuse),
    begin: guarded('begin', inner.begin),
    recordSteps: guarded('recordSteps', inner.recordSteps),
    answer: guarded('answer', inner.answer),
    acknowledge: guarded('acknowledge', inner.acknowledge),
    reopen: guarded('reopen', inner.reopen),
    command: guarded('command', inner.command),
    openCommands: guarded('openCommands', inner.openCommands),
    unacknowledged: guarded('unacknowledged', inner.unacknowledged),
    container: guarded('container', inner.container),
    containers: guarded('containers', inner.containers),
    update: guarded('update', inner.update),
    nextSequence: guarded('nextSequence', inner.nextSequence),
    prune: guarded('prune', inner.prune),
    close: inner.close,
  };
};
