import type { OperationState } from '../contract/operation.ts';

/** The state table of operations. Each operation reaches exactly one terminal state, once. */
export const OPERATION_TRANSITIONS: Readonly<Record<OperationState, readonly OperationState[]>> = {
  Pending: ['Running', 'Cancelling', 'Succeeded', 'Failed', 'Cancelled'],
  Running: ['Cancelling', 'Succeeded', 'Failed', 'Cancelled'],
  Cancelling: ['Succeeded', 'Failed', 'Cancelled'],
  Succeeded: [],
  Failed: [],
  Cancelled: [],
};

/** Whether an operation can change from one state to another. An ended operation never changes. */
export const canTransitionOperation = (from: OperationState, to: OperationState): boolean =>
  OPERATION_TRANSITIONS[from].includes(to) || (from === to && !isEnded(from));

export const isEnded = (state: OperationState): boolean => OPERATION_TRANSITIONS[state].length === 0;
export const OPEN_OPERATION_STATES = (Object.keys(OPERATION_TRANSITIONS) as OperationState[]).filter(
  (state) => !isEnded(state),
);
