import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const runCommand: MachineSpec = {
  name: 'run-command',
  comment: 'Give a host the one command of an operation that leaves nothing to undo',
  steps: [STEPS.command],
  undo: false,
};
