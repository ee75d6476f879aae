import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const remove: MachineSpec = {
  name: 'remove',
  comment: 'Remove a container and its files',
  steps: [STEPS.remove],
  undo: false,
};
