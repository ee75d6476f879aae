import { STEPS } from '../../core/contract/deployment.ts';
import type { MachineSpec } from './machine.ts';

export const provisionProcess: MachineSpec = {
  name: 'provision-process',
  comment: 'Create if need be, and start, a process-isolated container',
  steps: [STEPS.place, STEPS.start],
  undo: true,
};
