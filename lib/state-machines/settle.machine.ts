import type { MachineSpec } from './machine.ts';

export const settle: MachineSpec = {
  name: 'settle',
  comment: 'Settle an operation that failed without an execution and has nothing to undo',
  steps: [],
  undo: false,
};
