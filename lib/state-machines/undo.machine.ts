import type { MachineSpec } from './machine.ts';

export const undo: MachineSpec = {
  name: 'undo',
  comment: 'Undo and settle an operation that failed without an execution',
  steps: [],
  undo: true,
};
